"""What the options of all drivers on a port have in common."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from drivers.opener import checked


class PortOptions(BaseModel):
    """Options of a driver: unknown keys are errors, values stay as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: Annotated[str, AfterValidator(checked)] = Field(
        description="where the device is: /dev/serial/by-id/…, socket://host:port, rfc2217://host:port, listen://host:port"
    )
