"""How proto names look in C (as protoc-gen-c writes them) and in Swift."""

import re

SWIFT_KEYWORDS = frozenset(
    """associatedtype break case catch class continue default defer deinit do else enum extension
    fallthrough false fileprivate for func guard if import in init inout internal is let nil
    operator precedencegroup private protocol public repeat rethrows return self static struct
    subscript super switch throw throws true try typealias var where while Any Self Type
    """.split()
)

# protoc-gen-c puts "_" behind field names that C reserves.
C_KEYWORDS = frozenset(
    """and and_eq asm auto bitand bitor bool break case catch char class compl const const_cast
    continue default delete do double dynamic_cast else enum explicit extern false float for friend
    goto if inline int long mutable namespace new not not_eq operator or or_eq private protected
    public register reinterpret_cast return short signed sizeof static static_cast struct switch
    template this throw true try typedef typeid typename union unsigned using virtual void volatile
    wchar_t while xor xor_eq""".split()
)


def lower_camel(snake: str) -> str:
    """`display_name` and `displayName` -> `displayName`, `TENANT_ID` -> `tenantId`."""
    text = snake.lower() if snake.isupper() else snake
    first, *rest = [word for word in text.split("_") if word] or ["_"]
    return first[0].lower() + first[1:] + "".join(word[0].upper() + word[1:] for word in rest)


def upper_camel(snake: str) -> str:
    """`message_request` -> `MessageRequest`."""
    text = lower_camel(snake)
    return text[0].upper() + text[1:]


def method_name(name: str) -> str:
    """`CreateTenant` -> `createTenant`."""
    return name[0].lower() + name[1:]


def upper_snake(camel: str) -> str:
    """`TenantState` -> `TENANT_STATE`, `HTTPCode` -> `HTTP_CODE`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", camel).upper()


def escaped(name: str) -> str:
    """`name` as a Swift identifier: reserved words and leading digits are made legal."""
    if name[0].isdigit():
        name = "_" + name
    return f"`{name}`" if name in SWIFT_KEYWORDS else name


def enum_case(enum: str, value: str) -> str:
    """`TenantState`, `TENANT_STATE_ACTIVE` -> `active`."""
    return escaped(lower_camel(value.removeprefix(upper_snake(enum) + "_")))


def c_type(full_name: str) -> str:
    """`tenancy.v1.Tenant` -> `Tenancy__V1__Tenant`."""
    return "__".join(_camel(part) for part in full_name.split("."))


def c_function_prefix(full_name: str) -> str:
    """`tenancy.v1.WhoAmIRequest` -> `tenancy__v1__who_am_irequest`."""
    return "__".join(_camel_to_lower(part) for part in full_name.split("."))


def c_field(name: str) -> str:
    """The member of the C struct."""
    lower = name.lower()
    return lower + "_" if lower in C_KEYWORDS else lower


def c_oneof(name: str) -> str:
    """The oneof's name in C; the one that protoc makes for `optional text` is called `_text`."""
    return (f"optional{name}" if name.startswith("_") else name).lower()


def _camel(part: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in part.split("_"))


def _camel_to_lower(part: str) -> str:
    # One "_" before each run of capitals, as protoc-gen-c does it.
    text = re.sub(r"(?<![A-Z])(?=[A-Z])", "_", part).lower()
    return text.removeprefix("_")
