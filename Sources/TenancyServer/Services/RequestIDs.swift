import TenancyRPC
import TenancyWire

/// Request ids (AIP-155): what was asked under an id must be asked again alike.
enum RequestIDs {
  /// A UUID in its canonical form, either case.
  static func isWellFormed(_ text: String) -> Bool {
    guard text.utf8.count == 36 else { return false }
    let lengths = text.split(separator: "-", omittingEmptySubsequences: false).map(\.utf8.count)
    return lengths == [8, 4, 4, 4, 12]
      && text.utf8.allSatisfy {
        $0 == UInt8(ascii: "-") || Character(Unicode.Scalar($0)).isHexDigit
      }
  }

  /// A digest of what a tenant is to be, of its secrets only that there are such: the digest is stored.
  static func digest(of tenant: V1.Tenant) -> String { digest(ofMessage: open(tenant)) }

  /// A tenant without its secrets, but for that there are such.
  static func open(_ tenant: V1.Tenant) -> V1.Tenant {
    var open = tenant
    open.configuration = tenant.configuration.map(Self.open)
    return open
  }

  /// The same of a configuration.
  static func open(_ configuration: V1.TenantConfiguration) -> V1.TenantConfiguration {
    var open = configuration
    if let password = open.database?.password, !password.isEmpty {
      open.database?.password = "set"
    }
    for name in open.secretValues.keys { open.secretValues[name] = "set" }
    return open
  }

  /// A digest of what a call of a method asks for.
  static func digest(of request: some IdentifiedRequest, path: String) -> String {
    var open = request.open
    open.requestId = ""
    return SHA256Digest.hex(Array("\(path)\n".utf8) + open.encode(arena: Arena()))
  }

  /// A digest of what is to be reverted.
  static func digest(of revert: V1.RevertTenantConfigurationRequest) -> String {
    digest(ofMessage: revert)
  }

  /// The same of what a clone is to be.
  static func digest(ofClone request: V1.CloneTenantRequest) -> String {
    var open = request
    if let password = open.tenant?.configuration?.database?.password, !password.isEmpty {
      open.tenant?.configuration?.database?.password = "set"
    }
    return digest(ofMessage: open)
  }

  /// Equal messages have equal encodings.
  private static func digest(ofMessage message: some WireMessage) -> String {
    SHA256Digest.hex(message.encode(arena: Arena()))
  }
}
