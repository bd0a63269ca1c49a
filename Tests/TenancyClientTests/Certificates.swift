import CTenancyOpenSSL
import Foundation
import TenancyRPC

@testable import TenancyCrypto

/// The certificates of one test, in files.
///
/// Three authorities: `ca`, the server's own; `neighbour`, which the server trusts too but whose trust
/// domain it does not know; and `impostor`, which names the server's trust domain but is not trusted.
struct Certificates {
  static let trustDomain = "example.org"
  static let neighbourDomain = "neighbour.example"

  let directory: String

  init(directory: String) throws {
    self.directory = directory
    for (name, domain) in [
      ("ca", Self.trustDomain), ("neighbour", Self.neighbourDomain), ("impostor", Self.trustDomain),
    ] {
      try CertificateAuthority.create(commonName: name, trustDomain: domain).save(files(name))
    }
    let trusted = try ["ca", "neighbour"].map { try read(files($0).certificate) }
    try trusted.joined().write(toFile: path("trusted.pem"), atomically: true, encoding: .utf8)
  }

  func path(_ name: String) -> String { "\(directory)/\(name)" }

  /// Issues a certificate and says where it is, beside who vouches for the other side.
  func issue(
    _ profile: CertificateProfile, by authority: String = "ca", trusting peers: String = "ca.pem",
    expired: Bool = false
  ) throws -> TLSContext.Files {
    let issued = files(UUID().uuidString)
    let authority = try CertificateAuthority.load(files(authority))
    var credential = try authority.issue(profile)
    if expired { credential = try authority.reissueExpired(credential) }
    try credential.save(issued)
    return TLSContext.Files(
      certificateChain: issued.certificate, privateKey: issued.privateKey,
      peerAuthorities: path(peers))
  }

  /// The SHA-256 of a certificate's DER, found without our certificate reader.
  func fingerprint(_ files: TLSContext.Files) throws -> String? {
    let body = try read(files.certificateChain).split(separator: "\n").filter {
      !$0.hasPrefix("-----")
    }
    return Data(base64Encoded: body.joined()).map { SHA256Digest.hex(Array($0)) }
  }

  private func files(_ name: String) -> CredentialFiles {
    CredentialFiles(directory: directory, name: name)
  }

  private func read(_ path: String) throws -> String {
    try String(contentsOfFile: path, encoding: .utf8)
  }
}

extension CertificateProfile {
  static let operatorProfile = platform(role: "admin")
  static let localServer = server(dnsNames: ["localhost"], addresses: ["127.0.0.1"])
}

extension CertificateAuthority {
  /// The same certificate, but that it ended yesterday.
  fileprivate func reissueExpired(_ credential: Credential) throws -> Credential {
    let certificate = try Certificate(pem: credential.certificatePEM)
    guard X509_time_adj_ex(X509_getm_notBefore(certificate.pointer), -2, 0, nil) != nil,
      X509_time_adj_ex(X509_getm_notAfter(certificate.pointer), -1, 0, nil) != nil,
      X509_sign(certificate.pointer, key.pointer, EVP_sha256()) > 0
    else { throw PKIError.drainingQueue("cannot change the lifetime") }
    return Credential(
      certificatePEM: try certificate.pem(), privateKeyPEM: credential.privateKeyPEM)
  }
}
