internal import TenancyCrypto
internal import TenancyRPC

/// What a process has, as Envoy's secrets.
struct SecretResources: Sendable {
  /// The type of all of them.
  static let typeURL = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
  /// The first certificate, by whichever name.
  static let firstName = "default"
  /// What certificates of its trust domain are verified by.
  static let bundleName = "ROOTCA"
  /// Names of one request, at most.
  static let maximumNames = 64
  private static let maximumNameBytes = SPIFFEID.maximumLength

  let resources: [EnvoySecret.DiscoveryResource]
  /// The same for the same secrets, and for no others.
  let version: String

  /// - Parameter names: `default`, `ROOTCA`, a SPIFFE ID or that of the trust domain; none: all. What the process does
  ///   not have is left out.
  init(_ answer: WorkloadIssuer.Answer, names: [String]) {
    let domain = "spiffe://\(answer.authority.trustDomain)"
    let ids = answer.identities.map(\.spiffeID)
    var made: [EnvoySecret.DiscoveryResource] = []
    for name in names.isEmpty ? ids + [domain] : names {
      if name == Self.bundleName || name == domain {
        made.append(Self.bundle(answer.authority.bundle, name))
      } else if let at = name == Self.firstName ? ids.indices.first : ids.firstIndex(of: name) {
        made.append(Self.certificate(answer.identities[at].credential, name))
      }
    }
    resources = made
    version = SHA256Digest.bytes(made.flatMap(\.value)).prefix(16).map { byte in
      (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
  }

  /// - Throws: INVALID_ARGUMENT for what is no request for secrets.
  static func check(_ request: EnvoySecret.DiscoveryRequest) throws(RPCStatus) {
    guard request.typeUrl.isEmpty || request.typeUrl == typeURL else {
      throw RPCStatus(.invalidArgument, "type_url: only \(typeURL) is served")
    }
    guard request.resourceNames.count <= maximumNames,
      request.resourceNames.allSatisfy({ $0.utf8.count <= maximumNameBytes })
    else {
      throw RPCStatus(
        .invalidArgument,
        "resource_names: at most \(maximumNames), of at most \(maximumNameBytes) bytes")
    }
  }

  private static func certificate(
    _ credential: WorkloadCredential, _ name: String
  ) -> EnvoySecret.DiscoveryResource {
    let pair = EnvoySecret.TlsCertificate(
      certificateChain: source(PEMText.certificates(credential.chain)),
      privateKey: source(PEMText.privateKey(credential.privateKey)))
    return resource(EnvoySecret.Secret(name: name, type: .tlsCertificate(pair)))
  }

  private static func bundle(
    _ authorities: [UInt8], _ name: String
  ) -> EnvoySecret.DiscoveryResource {
    let context = EnvoySecret.CertificateValidationContext(
      trustedCa: source(PEMText.certificates(authorities)))
    return resource(EnvoySecret.Secret(name: name, type: .validationContext(context)))
  }

  private static func source(_ bytes: [UInt8]) -> EnvoySecret.DataSource {
    EnvoySecret.DataSource(inlineBytes: bytes)
  }

  private static func resource(_ secret: EnvoySecret.Secret) -> EnvoySecret.DiscoveryResource {
    EnvoySecret.DiscoveryResource(typeUrl: typeURL, value: MessageCoder().encode(secret))
  }
}

/// DER as text (RFC 7468).
enum PEMText {
  /// Those that lie one behind the other.
  static func certificates(_ der: [UInt8]) -> [UInt8] {
    var (out, rest) = ([UInt8](), der[...])
    while let length = DERLength.first(rest) {
      out += block("CERTIFICATE", Array(rest.prefix(length)))
      rest = rest.dropFirst(length)
    }
    return out
  }

  static func privateKey(_ der: [UInt8]) -> [UInt8] { block("PRIVATE KEY", der) }

  private static let lineLength = 64

  private static func block(_ label: String, _ der: [UInt8]) -> [UInt8] {
    var out = Array("-----BEGIN \(label)-----\n".utf8)
    var rest = GRPCCoding.base64Encode(der)[...]
    while !rest.count.isMultiple(of: 4) { rest.append(UInt8(ascii: "=")) }
    while !rest.isEmpty {
      out += rest.prefix(lineLength) + [UInt8(ascii: "\n")]
      rest = rest.dropFirst(lineLength)
    }
    return out + "-----END \(label)-----\n".utf8
  }
}
