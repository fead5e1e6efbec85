"""The header of a list: which column means what, found by the titles' names.

- Lines of instructions may stand above it, so the line with the most known titles is the header.
- A title may say more than its name: `车牌号(必填)`, `* Card No. (decimal)`, `卡号/Card`.
- Two columns of one meaning are refused: nobody but the list's keeper knows which of them counts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from center.imports.codes import Refusal
from center.imports.model import UnreadableList
from center.imports.sheets import Line, Sheet
from protocol.written import fold


class Role(StrEnum):
    """What a column means."""

    CARD = "card"
    EPC = "epc"
    PLATE = "plate"
    WRITING = "writing"
    NAME = "name"
    FIRST_NAME = "first name"
    LAST_NAME = "last name"
    PERSON = "person number"
    FROM = "from"
    UNTIL = "until"
    GROUP = "allow or block"
    SPACES = "parking spaces"
    SHARED = "several cars share the spaces"
    PHONE = "phone"
    SPACE_NO = "parking space"
    PIN = "pin"
    ID_DOCUMENT = "id document"
    TIME = "time of an event"


CREDENTIALS: Final = (Role.CARD, Role.EPC, Role.PLATE)
SECRET: Final = frozenset({Role.PIN, Role.ID_DOCUMENT})
"""Columns whose values are counted and checked, and neither kept nor shown."""

_NAMES: Final[dict[Role, str]] = {
    Role.CARD: "card cardno cardnumber cardnum cardid 卡号 卡片号 卡片号码 卡号码 卡片编号 ic卡号 id卡号"
    " 门禁卡号 物理卡号",
    Role.EPC: "epc epc号 epc码 epc编码 标签号 电子标签 电子标签号 标签epc tagid",
    Role.PLATE: "plateno platenumber plate licenseplate licenseplateno licenseplatenumber"
    " 车牌 车牌号 车牌号码 号牌 号牌号码",
    Role.WRITING: "写法 卡号格式 卡号写法",
    Role.NAME: "name fullname personname username owner ownername 姓名 人员姓名 持卡人 持卡人姓名 住户姓名"
    " 车主 车主姓名",
    Role.FIRST_NAME: "firstname givenname 名",
    Role.LAST_NAME: "lastname familyname surname 姓",
    Role.PERSON: "id personid personno employeeid employeeno userid 人员编号 工号 编号 用户编号 人员id",
    Role.FROM: "from validfrom startdate starttime starttimeofeffectiveperiod effectivestartdate effectivestarttime"
    " 开始时间 开始日期 生效日期 生效时间 有效期开始 有效期起 有效期自 有效期从 起始日期 起始时间 起租日期",
    Role.UNTIL: "to until validuntil validto validthrough enddate endtime expires expiry expirydate expirationdate"
    " endtimeofeffectiveperiod effectiveenddate effectiveendtime 结束时间 结束日期 失效日期 失效时间 有效期结束"
    " 有效期止 有效期至 有效至 有效期 有效期限 有效日期 截止日期 截止时间 到期时间 到期日期 到期日 租期至 租期到期",
    Role.GROUP: "group listtype 名单 名单类型 黑白名单 黑白名单类型",
    Role.SPACES: "车位数 车位数量",
    Role.SHARED: "一位多车",
    Role.PHONE: "phone phonenumber mobile 手机 手机号 手机号码 联系方式 联系电话 电话",
    Role.SPACE_NO: "车位编号 车位号",
    Role.PIN: "pin pincode password 密码 个人密码",
    Role.ID_DOCUMENT: "iddocumentnumber idnumber idcardnumber 身份证 身份证号 身份证号码 证件号 证件号码",
    Role.TIME: "time datetime 时间 打卡时间 考勤时间 刷卡时间 事件时间",
}
_DEPARTMENT: Final = "group"
"""Which is allow or block beside plates alone, and with nothing behind it."""
_ROLES: Final = {name: role for role, names in _NAMES.items() for name in names.split()}
_MAY_REPEAT: Final = SECRET | {Role.PERSON, Role.PHONE, Role.SPACE_NO, Role.TIME}
_INCLUSIVE: Final = frozenset({"effectiveenddate"})
"""Titles of ends that count as the last day by their system's own word (Hikvision's cameras)."""
_LOOK_LINES: Final = 20
_REQUIRED_MARK: Final = re.compile(r"\*|必填|required", re.IGNORECASE)
_DOOR_TITLES: Final = {"cardnumber": Role.CARD, "pin": Role.PIN, "from": Role.FROM, "to": Role.UNTIL}


@dataclass(frozen=True, slots=True)
class Header:
    """What the columns mean. `row` is None where the list has no titles; then its only column is called 1.

    `required` cells hold their row back when empty. `doors` are the columns of an access control list, by title.
    `end_inclusive`: the format itself says that its last day counts. `zeros`: numbers are written with leading zeros.
    """

    row: int | None
    titles: tuple[str | int, ...]
    places: Mapping[Role, int]
    required: frozenset[Role] = frozenset()
    doors: Mapping[str, int] | None = None
    end_inclusive: bool = False
    zeros: bool = True

    def title(self, role: Role) -> str | int:
        """The title of the column that means this, as the list has it."""
        return self.titles[self.places[role]]


def find_header(sheet: Sheet) -> Header | None:
    """The header of the list; None where no line has titles. Raises UnreadableList for one that is of no use."""
    best = max(sheet.lines[:_LOOK_LINES], key=lambda line: len(_known(line)), default=None)
    known = _known(best) if best else frozenset()
    if best is None or not (len(known) > 1 or known & {*CREDENTIALS}):
        return None
    titles = tuple(str(cell).strip() for cell in best.cells)
    return _header(sheet, best, titles, [_role(title) for title in titles])


def _known(line: Line) -> frozenset[Role]:
    return frozenset(role for cell in line.cells if isinstance(cell, str) and (role := _role(cell)))


def _header(sheet: Sheet, line: Line, titles: tuple[str, ...], roles: list[Role | None]) -> Header:
    if not {*roles} & {*CREDENTIALS}:
        kind = Refusal.ATTENDANCE if Role.TIME in roles else Refusal.NO_CREDENTIAL
        columns = ", ".join(title for title in titles if title)
        raise _refused(sheet, kind, f"no column of cards or plates among {columns[:200]}; user numbers are none")
    if (access := _access_list(sheet, line, titles)) is not None:
        return access
    places: dict[Role, int] = {}
    for place, role in enumerate(roles):
        if role and places.setdefault(role, place) != place and role not in _MAY_REPEAT:
            both = f"{titles[places[role]]!r} and {titles[place]!r}"
            raise _refused(sheet, Refusal.TWO_COLUMNS, f"{both} both mean {role}; leave one of the two columns")
    group = places.get(Role.GROUP)
    if group is not None and Role.PLATE not in places and fold(titles[group]).strip().lower() == _DEPARTMENT:
        del places[Role.GROUP]
    inclusive = Role.UNTIL in places and _plain(titles[places[Role.UNTIL]]) in _INCLUSIVE
    return Header(line.number, titles, places, _required(titles, places), end_inclusive=inclusive)


def _refused(sheet: Sheet, reason: Refusal, message: str) -> UnreadableList:
    return UnreadableList(reason, message, encoding=sheet.encoding, shape=sheet.format)


def _required(titles: tuple[str, ...], places: Mapping[Role, int]) -> frozenset[Role]:
    marked = {role for role, place in places.items() if _REQUIRED_MARK.search(titles[place])}
    if Role.SHARED in places:  # the template of a parking platform, which demands these
        marked |= {Role.NAME, Role.PLATE, Role.FROM, Role.UNTIL}
    return frozenset(marked & {*places})


def _access_list(sheet: Sheet, line: Line, titles: tuple[str, ...]) -> Header | None:
    """The header of an access control list: card, from, to, and for the rest one column a door, with Y, N or a number.

    (uhppoted's README, "ACL file format": titles ignore case and blanks, a card number has no leading zeros.)
    """
    names = [_plain(title) for title in titles]
    places = {_DOOR_TITLES[name]: place for place, name in enumerate(names) if name in _DOOR_TITLES}
    doors = {title: place for place, title in enumerate(titles) if title and place not in places.values()}
    if not {Role.CARD, Role.FROM, Role.UNTIL} <= {*places} or not doors:
        return None
    lines = [other for other in sheet.lines if other.number > line.number]
    cells = [str(other[place]).strip().upper() for other in lines for place in doors.values()]
    if sum(cell in {"Y", "N"} for cell in cells) * 2 < len(cells):
        return None
    if len(set(names)) < len(names):
        raise _refused(sheet, Refusal.TWO_COLUMNS, "two columns have the same title; leave one of them")
    required = frozenset({Role.CARD, Role.FROM, Role.UNTIL})
    return Header(line.number, titles, places, required, doors, end_inclusive=True, zeros=False)


def _role(title: str) -> Role | None:
    name = fold(title)
    halves = (name, *re.split(r"[/\n]", name))
    return next((_ROLES[plain] for half in halves if (plain := _plain(half)) in _ROLES), None)


def _plain(title: str) -> str:
    """A title without what is said beside its name."""
    return re.sub(r"[\s*:：._-]", "", re.split(r"[(（]", fold(title).strip().lstrip("*"), maxsplit=1)[0]).lower()
