"""Swift messages over the C ones: one file for each proto."""

from . import descriptors, model, naming, swift_fields
from .descriptors import banner
from .model import Message

# Their JSON is not that of their fields; written by hand.
SPECIAL_JSON = {f"google.protobuf.{name}" for name in ("Any", "Duration", "FieldMask", "Timestamp")}

IMPORTS = ["public import CProtobufC", "public import CTenancyProto", "public import RPC"]


def file_header(source: str, imports: list[str]) -> list[str]:
    return [f"// {banner(source)}", "// swift-format-ignore-file", "", *imports, ""]


def doc(comment: list[str], indent: str) -> list[str]:
    return [f"{indent}/// {line}".rstrip() for line in comment]


def generate(files: list) -> dict[str, str]:
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
        outputs[_file_name(file.name)] = _file(file, messages, comments)
    model.refuse_recursion(everything)
    return outputs


def _file_name(proto: str) -> str:
    """`tenancy/v1/tenant_manager.proto` -> `V1TenantManager.swift`."""
    folder, _, name = proto.removesuffix(".proto").rpartition("/")
    camel = naming.lower_camel(name)
    return f"{model.NAMESPACES[folder.replace('/', '.')]}{camel[0].upper()}{camel[1:]}.swift"


def _file(file, messages: list[Message], comments) -> str:
    # `json()` is generated with the other fields, or written by hand elsewhere.
    has_json = any(message.full_name not in SPECIAL_JSON for message in messages)
    lines = file_header(file.name, [*IMPORTS, "public import Tenancy"] if has_json else IMPORTS)
    namespace = model.NAMESPACES[file.package]
    for index, enum in enumerate(file.enum_type):
        lines += _enum(namespace, enum, (5, index), comments)
    for message in messages:
        lines += _struct(message)
        lines += _conformance(message)
    return "\n".join(lines)


def _enum(namespace: str, enum, path, comments) -> list[str]:
    lines = [f"extension {namespace} {{", *doc(comments.get(path, []), "  ")]
    lines += [
        f"  public struct {enum.name}: WireEnum {{",
        "    public let rawValue: Int32",
        "",
        "    public init(rawValue: Int32) { self.rawValue = rawValue }",
        "",
    ]
    for index, value in enumerate(enum.value):
        lines += doc(comments.get(path + (2, index), []), "    ")
        case = naming.enum_case(enum.name, value.name)
        lines.append(f"    public static let {case} = Self(rawValue: {value.number})")
    lines += ["", "    public static let names: [Int32: String] = ["]
    lines += [f'      {value.number}: "{value.name}",' for value in enum.value]
    return lines + ["    ]", "  }", "}", ""]


def _struct(message: Message) -> list[str]:
    lines = [f"extension {message.parent} {{", *doc(message.comment, "  ")]
    lines.append(f"  public struct {message.simple_name}: WireMessage, Hashable, Sendable {{")
    for field in message.fields:
        lines += doc(field.comment, "    ")
        lines.append(f"    public var {field.swift_name}: {field.swift_type}")
    if message.fields:
        lines.append("")
    return lines + _memberwise(message) + ["  }", "}", ""]


def _memberwise(message: Message) -> list[str]:
    if not message.fields:
        return ["    public init() {}"]
    parameters = ",\n".join(
        f"      {field.swift_name}: {field.swift_type} = {field.default}"
        for field in message.fields
    )
    lines = ["    public init(", parameters, "    ) {"]
    lines += [f"      self.{field.swift_name} = {field.swift_name}" for field in message.fields]
    return lines + ["    }"]


def _conformance(message: Message) -> list[str]:
    prefix = naming.c_function_prefix(message.full_name)
    lines = [
        f"extension {message.swift_name} {{",
        f"  public typealias CMessage = {naming.c_type(message.full_name)}",
        "",
        "  @inlinable",
        "  public static var descriptor: UnsafePointer<ProtobufCMessageDescriptor> {",
        f"    {prefix}__get_descriptor()",
        "  }",
        "",
        f"  public init(reading c: UnsafePointer<CMessage>) throws({swift_fields.VIOLATION}) {{",
    ]
    for field in message.fields:
        lines.append(f"    self.{field.swift_name} = {swift_fields.read(field)}")
    lines += [
        "  }",
        "",
        "  public func write(into arena: Arena) -> UnsafeMutablePointer<CMessage> {",
        "    let c = arena.uninitialized(CMessage.self)",
        f"    {prefix}__init(c)",
    ]
    for field in message.fields:
        lines += [f"    {line}" for line in swift_fields.write(field)]
    lines += ["    return c", "  }"]
    if message.full_name not in SPECIAL_JSON:
        lines += ["", *_json(message)]
    return lines + ["}", ""]


def _json(message: Message) -> list[str]:
    if not message.fields:
        return ["  public func json() -> JSONValue { .object([:]) }"]
    lines = ["  public func json() -> JSONValue {", "    var object: [String: JSONValue] = [:]"]
    lines += [f"    {swift_fields.json(field)}" for field in message.fields]
    return lines + ["    return .object(object)", "  }"]
