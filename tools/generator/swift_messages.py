"""Swift messages over the C ones: one file for each proto."""

from . import descriptors, model, naming, swift_fields
from .descriptors import banner
from .errors import GenerationError
from .model import Field, Kind, Message, Oneof, Shape
from .modules import Module

# Their JSON is not that of their fields; written by hand.
SPECIAL_JSON = {f"google.protobuf.{name}" for name in ("Any", "Duration", "FieldMask", "Timestamp")}


def file_header(source: str, imports: list[str]) -> list[str]:
    return [f"// {banner(source)}", "// swift-format-ignore-file", "", *imports, ""]


def doc(comment: list[str], indent: str, otherwise: str = "") -> list[str]:
    """The proto's comment, or what is said where it has none."""
    return [f"{indent}/// {line}".rstrip() for line in comment or [otherwise] if comment or otherwise]


def imports(module: Module, messages: list[Message]) -> list[str]:
    """What a file with these messages, and maybe enums, imports."""
    found = ["public import TenancyRPC"]
    if messages:
        found = ["public import CTenancyProtobufC", f"public import {module.c_name}", *found]
    # `json()` is generated with the other fields, or written by hand elsewhere.
    if module.json and any(message.full_name not in SPECIAL_JSON for message in messages):
        found.append("public import Tenancy")
    return found


def generate(module: Module, files: list) -> dict[str, str]:
    """File name -> text, for the protos that have messages or enums."""
    outputs = {}
    everything = []
    for file in files:
        comments = descriptors.comments(file)
        messages = [
            model.message(name, proto, path, comments)
            for name, proto, path in descriptors.messages(file)
        ]
        everything += messages
        if messages or file.enum_type:
            name = _file_name(file)
            if name in outputs:
                raise GenerationError(f"{file.name}: another proto of its package gives {name} too")
            outputs[name] = _file(module, file, messages, comments)
    model.refuse_recursion(everything)
    if not module.json:
        refuse_structs(everything)
    return outputs


def refuse_structs(messages: list[Message]) -> None:
    """In Swift a Struct or a Value is JSON, which only modules that have JSON know."""
    for message in messages:
        for field in message.fields:
            if field.value.kind in (Kind.STRUCT, Kind.VALUE):
                name = "Struct" if field.value.kind is Kind.STRUCT else "Value"
                raise GenerationError(
                    f"{message.full_name}.{field.proto_name}: {name} is not supported here"
                )


def namespaces(packages: list[str]) -> str:
    """The enums that hold what the packages of a foreign module declare."""
    lines = file_header("", [])
    model.declare(packages)
    for package in sorted(set(packages), key=model.namespace):
        lines += [
            f"/// What the proto package `{package}` declares.",
            f"public enum {model.namespace(package)} {{}}",
            "",
        ]
    return "\n".join(lines)


def _file_name(file) -> str:
    """`tenancy/v1/tenant_manager.proto` -> `V1TenantManager.swift`."""
    name = file.name.removesuffix(".proto").rpartition("/")[2]
    return f"{model.namespace(file.package)}{naming.upper_camel(name)}.swift"


def _file(module: Module, file, messages: list[Message], comments) -> str:
    lines = file_header(file.name, imports(module, messages))
    for name, enum, path in descriptors.enums(file):
        lines += _enum(name, enum, path, comments)
    for message in messages:
        lines += _struct(module, message)
        lines += _conformance(module, message)
        if message.full_name in module.hot:
            lines += _builder_fields(message)
        if message.full_name in module.viewed:
            lines += _view_fields(message)
    return "\n".join(lines)


def _enum(full_name: str, enum, path, comments) -> list[str]:
    parent, _, name = model.swift_type(full_name).rpartition(".")
    lines = [f"extension {parent} {{", *doc(comments.get(path, []), "  ", f"`{full_name}`.")]
    lines += [
        f"  public struct {name}: WireEnum {{",
        "    public let rawValue: Int32",
        "",
        "    public init(rawValue: Int32) { self.rawValue = rawValue }",
        "",
    ]
    for index, value in enumerate(enum.value):
        lines += doc(comments.get(path + (2, index), []), "    ", f"`{value.name}`.")
        case = naming.enum_case(enum.name, value.name)
        lines.append(f"    public static let {case} = Self(rawValue: {value.number})")
    lines += ["", "    public static let names: [Int32: String] = ["]
    # The first of several for one number (`allow_alias`) is the one that JSON has.
    names = {value.number: value.name for value in reversed(enum.value)}
    numbers = dict.fromkeys(value.number for value in enum.value)
    lines += [f'      {number}: "{names[number]}",' for number in numbers]
    return lines + ["    ]", "  }", "}", ""]


def _struct(module: Module, message: Message) -> list[str]:
    protocols = "WireMessage, JSONRepresentable" if module.json else "WireMessage"
    lines = [f"extension {message.parent} {{"]
    lines += doc(message.comment, "  ", f"`{message.full_name}`.")
    lines.append(f"  public struct {message.simple_name}: {protocols}, Hashable, Sendable {{")
    for member in message.members:
        lines += doc(member.comment, "    ", _place(member))
        lines.append(f"    public var {member.swift_name}: {member.swift_type}")
    if message.members:
        lines.append("")
    lines += _memberwise(message)
    for member in message.members:
        if isinstance(member, Oneof):
            lines += ["", *_choices(member)]
    return [*lines, "  }", "}", ""]


def _choices(oneof: Oneof) -> list[str]:
    lines = [f"    /// What `{oneof.swift_name}` can be.".replace("``", "`")]
    lines.append(f"    public enum {oneof.simple_type}: Hashable, Sendable {{")
    for field in oneof.fields:
        lines += doc(field.comment, "      ", _place(field))
        lines.append(f"      case {field.swift_name}({field.value.swift})")
    return [*lines, "    }"]


def _place(member: Field | Oneof) -> str:
    """What is said of a member that the proto says nothing of."""
    if isinstance(member, Oneof):
        return f"One of {', '.join(f'`{field.proto_name}`' for field in member.fields)}; nil: none."
    return f"`{member.proto_name}`, field {member.number}."


def _memberwise(message: Message) -> list[str]:
    if not message.members:
        return ["    /// Has no fields.", "    public init() {}"]
    parameters = ",\n".join(
        f"      {member.swift_name}: {member.swift_type} = {member.default}"
        for member in message.members
    )
    lines = ["    /// Fields that are not given have their defaults."]
    lines += ["    public init(", parameters, "    ) {"]
    lines += [
        f"      self.{member.swift_name} = {member.swift_name}" for member in message.members
    ]
    return lines + ["    }"]


def _conformance(module: Module, message: Message) -> list[str]:
    prefix = naming.c_function_prefix(message.full_name)
    c_type = naming.c_type(message.full_name)
    # Of no package, its name alone would be the Swift struct's.
    if "." not in message.full_name:
        c_type = f"{module.c_name}.{c_type}"
    lines = [
        f"extension {message.swift_name} {{",
        f"  public typealias CMessage = {c_type}",
        "",
        "  @inlinable",
        "  public static var descriptor: UnsafePointer<ProtobufCMessageDescriptor> {",
        f"    {prefix}__get_descriptor()",
        "  }",
        "",
        f"  public init(reading c: UnsafePointer<CMessage>) throws({swift_fields.VIOLATION}) {{",
    ]
    for member in message.members:
        lines += [f"    {line}" for line in swift_fields.read(member)]
    lines += [
        "  }",
        "",
        "  public func write(into arena: Arena) -> UnsafeMutablePointer<CMessage> {",
        "    let c = arena.uninitialized(CMessage.self)",
        f"    {prefix}__init(c)",
    ]
    for member in message.members:
        lines += [f"    {line}" for line in swift_fields.write(member)]
    lines += ["    return c", "  }"]
    if module.json and message.full_name not in SPECIAL_JSON:
        lines += ["", *_json(message)]
    return lines + ["}", ""]


def _builder_fields(message: Message) -> list[str]:
    """What `MessageBuilder` knows the fields by."""
    lines = []
    if any(isinstance(member, Oneof) for member in message.members):
        raise GenerationError(f"{message.full_name}: has a oneof, for which there is no builder")
    for field in message.fields:
        if field.shape in (Shape.MAP, Shape.OPTIONAL) or not _is_built(field):
            raise GenerationError(f"{message.full_name}.{field.proto_name}: has no builder")
        value = field.value.swift
        lines += [
            f"extension MessageField where Message == {message.swift_name}, Value == {value} {{",
            f"  /// {_place(field)}",
            f"  @inlinable public static var {field.swift_name}: Self {{ Self({field.number}) }}",
            "}",
            "",
        ]
    return lines


def _is_built(field: Field) -> bool:
    kind = field.value.kind
    if field.shape is Shape.LIST:
        return kind is Kind.MESSAGE
    if kind is Kind.SCALAR:
        return field.value.swift == "UInt64" and not field.value.is_fixed
    return kind in (Kind.BOOL, Kind.STRING, Kind.ENUM, Kind.MESSAGE)


def _view_fields(message: Message) -> list[str]:
    """What `MessageView` reads of the message."""
    lines = [f"extension MessageView where Message == {message.swift_name} {{"]
    for member in message.members:
        if isinstance(member, Oneof):
            raise GenerationError(f"{message.full_name}: has a oneof, for which there is no view")
        type_name, value = swift_fields.view(message.full_name, member)
        lines += [
            f"  /// {_place(member)}",
            f"  @inlinable public var {member.swift_name}: {type_name} {{",
            "    @_lifetime(copy self)",
            f"    get {{ {value} }}",
            "  }",
        ]
    return lines + ["}", ""]


def _json(message: Message) -> list[str]:
    if not message.members:
        return ["  public func json() -> JSONValue { .object([:]) }"]
    lines = ["  public func json() -> JSONValue {", "    var object: [String: JSONValue] = [:]"]
    for member in message.members:
        lines += [f"    {line}" for line in swift_fields.json(member)]
    return lines + ["    return .object(object)", "  }"]
