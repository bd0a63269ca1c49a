/// How messages are signed: RFC 7518 §3.1, RFC 8037 §3.1. There are no others, and none by a shared secret.
package enum SignatureAlgorithm: String, Sendable, Hashable, CaseIterable {
  /// ECDSA on P-256 with SHA-256.
  case es256 = "ES256"
  /// ECDSA on P-384 with SHA-384.
  case es384 = "ES384"
  /// RSASSA-PSS with SHA-256, MGF1 with SHA-256, and a salt of 32 bytes.
  case ps256 = "PS256"
  /// RSASSA-PKCS1-v1_5 with SHA-256.
  case rs256 = "RS256"
  /// Ed25519 (RFC 8032); Ed448 is not meant.
  case eddsa = "EdDSA"

  /// What a key must be to sign this way.
  package var keyKind: SignatureKeyKind {
    switch self {
    case .es256: .elliptic(.p256)
    case .es384: .elliptic(.p384)
    case .ps256, .rs256: .rsa
    case .eddsa: .ed25519
    }
  }

  /// In OpenSSL's words; nil: the algorithm has its own.
  var digestName: String? {
    switch self {
    case .es256, .ps256, .rs256: "SHA2-256"
    case .es384: "SHA2-384"
    case .eddsa: nil
    }
  }
}

/// Kinds of keys that sign messages.
package enum SignatureKeyKind: Sendable, Hashable {
  case elliptic(EllipticCurve)
  case rsa
  case ed25519
}

/// The curves of ECDSA (FIPS 186-4, SEC 2).
package enum EllipticCurve: String, Sendable, Hashable, CaseIterable {
  case p256 = "P-256"
  case p384 = "P-384"

  /// Of a coordinate, and of each half of a signature.
  package var coordinateBytes: Int {
    switch self {
    case .p256: 32
    case .p384: 48
    }
  }

  /// The number of points, n: r and s of a signature are in 1..<n.
  var order: [UInt8] {
    switch self {
    case .p256: Self.orderP256
    case .p384: Self.orderP384
    }
  }

  private static let orderP256: [UInt8] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
  ]

  private static let orderP384: [UInt8] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xC7, 0x63, 0x4D, 0x81, 0xF4, 0x37, 0x2D, 0xDF,
    0x58, 0x1A, 0x0D, 0xB2, 0x48, 0xB0, 0xA7, 0x7A, 0xEC, 0xEC, 0x19, 0x6A, 0xCC, 0xC5, 0x29, 0x73,
  ]
}
