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
  static func digest(of tenant: V1.Tenant) -> String {
    var open = tenant
    if let password = open.configuration?.database?.password, !password.isEmpty {
      open.configuration?.database?.password = "set"
    }
    for name in open.configuration?.secretValues.keys.sorted() ?? [] {
      open.configuration?.secretValues[name] = "set"
    }
    return digest(ofMessage: open)
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
