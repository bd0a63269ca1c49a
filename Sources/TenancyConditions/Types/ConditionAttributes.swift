/// The attributes that conditions may read: their names, types and largest sizes.
///
/// Names are qualified, as in `subject.department` (Langdef, "Name Resolution"). `subject` is then
/// an object and no value of its own. Attributes that are not known beforehand go into one of type
/// `map(string, dyn)`.
public struct ConditionAttributes: Sendable {
  /// An attribute's place among the values of a request.
  public struct Slot: Sendable, Hashable {
    /// From 0, in the order of declaration.
    public let index: Int
  }

  /// How large the value of an attribute gets. More costs fuel, and no more than there is.
  public struct Bounds: Sendable, Hashable {
    /// Bytes of each string or bytes.
    public var bytes: Int
    /// Elements of each list or map.
    public var count: Int
    /// Lists and maps within one another, of a value of type dyn.
    public var depth: Int

    /// Bounds; 64 elements and 256 bytes unless told, and of what is dyn one list or map.
    public init(bytes: Int = 256, count: Int = 64, depth: Int = 1) {
      self.bytes = bytes
      self.count = count
      self.depth = depth
    }
  }

  /// Why a declaration was refused.
  public enum DeclarationError: Error, Sendable, Hashable {
    /// Not names of letters, digits and underscores with dots between, or a word of CEL's own.
    case invalidName(String)
    /// An attribute or an object has the name already.
    case taken(String)
    /// Lists and maps within one another, too deep; or a key that CEL has not.
    case invalidType(String)
    /// More attributes than ``maximumCount``.
    case tooMany
  }

  struct Attribute: Sendable, Hashable {
    let name: String
    let type: ConditionType
    let bounds: Bounds
  }

  /// Attributes of one declaration.
  public static let maximumCount = 1_024

  private(set) var attributes: [Attribute] = []
  private var slots: [String: Int] = [:]
  private var objects: Set<String> = []
  /// Tells one declaration from another: values of one are refused by conditions of another.
  private(set) var identity: UInt64 = 0xCBF2_9CE4_8422_2325

  /// No attributes.
  public init() {}

  /// Declares an attribute; throws ``DeclarationError``.
  @discardableResult
  public mutating func declare(
    _ name: String, _ type: ConditionType, bounds: Bounds = Bounds()
  ) throws(DeclarationError) -> Slot {
    guard attributes.count < Self.maximumCount else { throw .tooMany }
    guard Self.isValid(type, 4) else { throw .invalidType(name) }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard name.utf8.count <= 256, parts.allSatisfy(Self.isName),
      !Parser.reserved.contains(parts[0])
    else { throw .invalidName(name) }
    var prefix = ""
    for part in parts.dropLast() {
      prefix += prefix.isEmpty ? part : ".\(part)"
      if slots[prefix] != nil { throw .taken(prefix) }
      objects.insert(prefix)
    }
    guard slots[name] == nil, !objects.contains(name) else { throw .taken(name) }
    let slot = attributes.count
    slots[name] = slot
    attributes.append(Attribute(name: name, type: type, bounds: bounds))
    for byte in "\(name):\(type);".utf8 { identity = (identity ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return Slot(index: slot)
  }

  /// The place of an attribute; nil if there is none of the name.
  public func slot(_ name: String) -> Slot? { slots[name].map { Slot(index: $0) } }

  /// The name of an attribute; nil if the place is another declaration's.
  public func name(of slot: Slot) -> String? {
    attributes.indices.contains(slot.index) ? attributes[slot.index].name : nil
  }

  /// The names, in the order of declaration.
  public var names: [String] { attributes.map(\.name) }

  func isObject(_ name: String) -> Bool { objects.contains(name) }

  private static func isName(_ part: String) -> Bool {
    guard let first = part.utf8.first, Lexer.isNameStart(first) else { return false }
    return part.utf8.allSatisfy { Lexer.isNameStart($0) || Lexer.isDigit($0) }
      && !["true", "false", "null", "in"].contains(part)
  }

  private static func isValid(_ type: ConditionType, _ depth: Int) -> Bool {
    switch type {
    case .list(let element): depth > 0 && isValid(element, depth - 1)
    case .map(let key, let value): depth > 0 && key.isKey && isValid(value, depth - 1)
    default: true
    }
  }
}
