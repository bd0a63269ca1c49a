/// `resource:action`, what a role grants. Either part may be `*`; in a question neither may.
public struct Permission: Hashable, Sendable {
  /// Bytes of one part.
  public static let maximumPartLength = 64
  /// Bytes of both parts and the colon.
  public static let maximumLength = 2 * maximumPartLength + 1

  /// Resources of this framework's own API. A `*` resource never covers them.
  public static let reservedPrefix = "tenancy."

  /// Before the colon; `*` in roles: all but reserved ones.
  public let resource: String
  /// Behind the colon; `*` in roles: all of them.
  public let action: String

  /// `resource:action`.
  public var text: String { "\(resource):\(action)" }
  /// Whether it is a permission on this framework's own API.
  public var isReserved: Bool { resource.hasPrefix(Self.reservedPrefix) }
  /// Whether it stands for several, which only a role's can.
  public var hasWildcard: Bool { resource == "*" || action == "*" }

  /// Returns nil when `text` is not two parts of 1 to 64 characters of a-z, 0-9, `_`, `-` and `.`, or
  /// `*` alone, with one colon between.
  public init?(parsing text: String) {
    guard text.utf8.count <= Self.maximumLength else { return nil }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ $0 == "*" || Self.isName($0.utf8) }) else {
      return nil
    }
    resource = String(parts[0])
    action = String(parts[1])
  }

  /// One on this framework's own API.
  /// - Precondition: both are names.
  package init(reserved resource: String, _ action: String) {
    self.resource = Self.reservedPrefix + resource
    self.action = action
  }

  /// What is said of a text that is none.
  public static func malformed(_ field: String) -> TenancyError {
    .invalid(field, "not a permission of the form resource:action")
  }

  private static func isName(_ bytes: some Collection<UInt8>) -> Bool {
    (1...maximumPartLength).contains(bytes.count) && bytes.allSatisfy(isNameByte)
  }

  private static let nameBytes = ASCIISet("abcdefghijklmnopqrstuvwxyz0123456789_-.")

  static func isNameByte(_ byte: UInt8) -> Bool { nameBytes.contains(byte) }

  /// Checks the form of a question without making a `String`: returns where the colon is, or nil for
  /// what is not a permission without wildcards.
  public static func colon(in question: RawSpan) -> Int? {
    guard question.byteCount <= maximumLength else { return nil }
    var colon: Int?
    let nameBytes = Self.nameBytes
    for offset in 0..<question.byteCount {
      // In range: below byteCount.
      let byte = unsafe question.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
      if nameBytes.contains(byte) { continue }
      guard byte == UInt8(ascii: ":"), colon == nil else { return nil }
      colon = offset
    }
    guard let colon, (1...maximumPartLength).contains(colon),
      (1...maximumPartLength).contains(question.byteCount - colon - 1)
    else { return nil }
    return colon
  }

  /// Whether a question is about a resource of this framework's own API.
  static func isReserved(_ question: RawSpan) -> Bool { question.begins(with: reservedPrefix) }
}

/// Permissions compiled for questions: at most three look-ups, no allocation.
public struct PermissionSet: Sendable {
  private var exact = ByteTable<Bool>()
  /// `resource:*`
  private var resources = ByteTable<Bool>()
  /// `*:action`
  private var actions = ByteTable<Bool>()
  private var everything = false

  /// Compiles them for look-ups; repeats do not matter.
  public init(_ permissions: some Sequence<Permission>) {
    for permission in permissions {
      switch (permission.resource, permission.action) {
      case ("*", "*"): everything = true
      case ("*", let action): actions[action] = true
      case (let resource, "*"): resources[resource] = true
      default: exact[permission.text] = true
      }
    }
  }

  /// Whether the set grants `question`, whose colon is at `colon` (`Permission.colon(in:)`).
  public func grants(_ question: RawSpan, colon: Int) -> Bool {
    if exact.find(question) != nil { return true }
    if resources.find(question.extracting(0..<colon)) != nil { return true }
    if Permission.isReserved(question) { return false }
    return everything
      || actions.find(question.extracting((colon + 1)..<question.byteCount)) != nil
  }

  /// Whether any of them covers `permission`. Takes two or three look-ups, however many there are.
  public func grants(_ permission: Permission) -> Bool {
    let text = permission.text
    let span = unsafe text.utf8Span.span.bytes
    guard let colon = Permission.colon(in: span) else { return false }
    return grants(span, colon: colon)
  }

  /// Whether everything that `permission` stands for, wildcards included, is granted.
  public func covers(_ permission: Permission) -> Bool {
    if !permission.hasWildcard { return grants(permission) }
    switch (permission.resource, permission.action) {
    case ("*", "*"): return everything
    case ("*", let action): return everything || actions[action] != nil
    case (let resource, _):
      return resources[resource] != nil || (everything && !permission.isReserved)
    }
  }
}
