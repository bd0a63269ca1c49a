"""How proto names look in C (as protoc-gen-c writes them) and in Swift."""

import re

SWIFT_KEYWORDS = frozenset(
    """associatedtype break case catch class continue default defer deinit do else enum extension
    fallthrough false fileprivate for func guard if import in init inout internal is let nil
    operator precedencegroup private protocol public repeat rethrows return self static struct
    subscript super switch throw throws true try typealias var where while Any
    """.split()
)

# Types that the Swift generated for other packages uses by their names alone, and those that no type can be called.
# One of a proto that has such a name gets "_" behind it, as protoc-gen-c does it for fields; so do the names below.
USED_TYPES = frozenset(
    """Arena Bool CMessage CallChannel Double Float Hashable Int32 Int64 Optional ProtobufCMessageDescriptor Protocol
    RPCCallOptions RPCMethod RequestWriter ResponseMessages Self Sendable String TenancyRPC Type UInt32 UInt64 UInt8
    UnsafeBufferPointer UnsafeMutablePointer UnsafePointer Void WireEnum WireMessage WireRead WireText""".split()
)
# Of a struct: the first is no name for a parameter of `init`, the second is Hashable's.
USED_MEMBERS = frozenset(("self", "hashValue"))
# Of an enum, beside its cases; and of a service, beside its methods.
USED_CASES = frozenset(("names", "rawValue"))
USED_METHODS = frozenset(("name",))

# protoc-gen-c puts "_" behind field names that C reserves.
C_KEYWORDS = frozenset(
    """and and_eq asm auto bitand bitor bool break case catch char class compl const const_cast
    continue default delete do double dynamic_cast else enum explicit extern false float for friend
    goto if inline int long mutable namespace new not not_eq operator or or_eq private protected
    public register reinterpret_cast return short signed sizeof static static_cast struct switch
    template this throw true try typedef typeid typename union unsigned using virtual void volatile
    wchar_t while xor xor_eq""".split()
)
# And these it leaves as they are: words and macros of newer C, and what every message of libprotobuf-c begins with.
C_USED = frozenset("base linux restrict typeof unix".split())


def qualified(prefix: str, name: str) -> str:
    """`tenancy.v1`, `Tenant` -> `tenancy.v1.Tenant`; of no package, as it is."""
    return f"{prefix}.{name}" if prefix else name


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
    """The function of a client: `CreateTenant` -> `createTenant`."""
    return escaped(name[0].lower() + name[1:])


def method_constant(name: str) -> str:
    """What stands for the method itself."""
    return apart(method_name(name), USED_METHODS)


def client_name(service: str) -> str:
    """`Sample` -> `SampleClient`."""
    return f"{service}Client"


def member(name: str) -> str:
    """A field or a oneof."""
    return escaped(apart(lower_camel(name), USED_MEMBERS))


def upper_snake(camel: str) -> str:
    """`TenantState` -> `TENANT_STATE`, `HTTPCode` -> `HTTP_CODE`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", camel).upper()


def apart(name: str, used) -> str:
    """`name`, with "_" behind it if it is used for something else."""
    return f"{name}_" if name in used else name


def escaped(name: str) -> str:
    """`name` as a Swift identifier: reserved words and leading digits are made legal."""
    if name[0].isdigit():
        name = "_" + name
    return f"`{name}`" if name in SWIFT_KEYWORDS else name


def enum_case(enum: str, value: str) -> str:
    """`TenantState`, `TENANT_STATE_ACTIVE` -> `active`."""
    name = lower_camel(value.removeprefix(upper_snake(enum) + "_"))
    return escaped(apart(name, USED_CASES))


def c_type(full_name: str) -> str:
    """`tenancy.v1.Tenant` -> `Tenancy__V1__Tenant`."""
    return "__".join(_camel(part) for part in full_name.split("."))


def c_function_prefix(full_name: str) -> str:
    """`tenancy.v1.WhoAmIRequest` -> `tenancy__v1__who_am_irequest`."""
    return "__".join(_camel_to_lower(part) for part in full_name.split("."))


def c_field(name: str) -> str:
    """The member of the C struct."""
    lower = name.lower()
    return apart(lower, C_KEYWORDS | C_USED)


def c_oneof(name: str) -> str:
    """The oneof's name in C; the one that protoc makes for `optional text` is called `_text`."""
    return (f"optional{name}" if name.startswith("_") else name).lower()


def _camel(part: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in part.split("_"))


def _camel_to_lower(part: str) -> str:
    # One "_" before each run of capitals, as protoc-gen-c does it.
    text = re.sub(r"(?<![A-Z])(?=[A-Z])", "_", part).lower()
    return text.removeprefix("_")
