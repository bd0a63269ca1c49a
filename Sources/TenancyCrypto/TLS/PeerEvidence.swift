internal import CTenancyOpenSSL

/// The certificates that a peer presented, so that it can be judged again later.
final class PeerEvidence: Sendable {
  /// DER; the peer's own first.
  let certificates: [[UInt8]]
  /// SHA-256 of all of them.
  let digest: [UInt8]

  /// - Parameters:
  ///   - leaf: an `X509`.
  ///   - untrusted: a stack of `X509`, in which the leaf may be as well.
  init?(leaf: OpaquePointer, untrusted: OpaquePointer?) {
    guard let own = Self.encode(leaf) else { return nil }
    var certificates = [own]
    for index in 0..<max(0, OPENSSL_sk_num(untrusted)) {
      guard let value = OPENSSL_sk_value(untrusted, index) else { return nil }
      let certificate = OpaquePointer(value)
      if certificate == leaf { continue }
      guard let bytes = Self.encode(certificate) else { return nil }
      certificates.append(bytes)
    }
    self.certificates = certificates
    // DER tells its own length: no other certificates have the same bytes in a row.
    let all = certificates.count == 1 ? own : Array(certificates.joined())
    digest = SHA256Digest.bytes(all)
  }

  private static func encode(_ certificate: OpaquePointer) -> [UInt8]? {
    let count = i2d_X509(certificate, nil)
    guard count > 0 else { return nil }
    return [UInt8](unsafeUninitializedCapacity: Int(count)) { buffer, written in
      var end = buffer.baseAddress
      written = max(0, Int(i2d_X509(certificate, &end)))
    }
  }

  /// Decodes the certificates for the time of `body`.
  func withCertificates<Value>(
    _ body: (_ leaf: OpaquePointer, _ untrusted: OpaquePointer) -> Value
  ) -> Value? {
    guard let untrusted = OPENSSL_sk_new_null() else { return nil }
    var decoded: [OpaquePointer] = []
    defer {
      OPENSSL_sk_free(untrusted)
      for certificate in decoded { X509_free(certificate) }
      ERR_clear_error()
    }
    for bytes in certificates {
      guard let certificate = OpenSSLObjects.certificate(der: bytes) else { return nil }
      decoded.append(certificate)
      guard OPENSSL_sk_push(untrusted, UnsafeRawPointer(certificate)) > 0 else { return nil }
    }
    return decoded.first.map { body($0, untrusted) }
  }
}

/// A peer whose chain was verified.
final class VerifiedPeer: Sendable {
  let certificate: PeerCertificate
  let evidence: PeerEvidence
  /// Seconds since 1970: from when to when all certificates of its chain are good.
  let validFrom: Int64
  let validUntil: Int64
  /// When the verification has to be done anew: the chain has ended, or a CRL.
  let freshUntil: Int64
  /// SHA-256 of the key (SubjectPublicKeyInfo) of each certificate of the chain; empty where nobody asks for them.
  let keyDigests: [[UInt8]]
  /// When the first of the CRLs ends, if that is before the chain does.
  var revocationsUntil: Int64? { freshUntil < validUntil ? freshUntil : nil }

  init(
    certificate: PeerCertificate, evidence: PeerEvidence, validFrom: Int64, validUntil: Int64,
    freshUntil: Int64, keyDigests: [[UInt8]] = []
  ) {
    self.certificate = certificate
    self.evidence = evidence
    self.validFrom = validFrom
    self.validUntil = validUntil
    self.freshUntil = freshUntil
    self.keyDigests = keyDigests
  }
}

/// Why a peer is refused.
struct PeerRefusal: Error {
  /// OpenSSL's verification result, from which follows the alert that the peer gets.
  let code: Int32
  /// For the log.
  let reason: String

  init(code: Int32) {
    self.code = code
    let said = String(cString: X509_verify_cert_error_string(Int(code)))
    reason = TLSCause.words(verification: code).map { "\($0) (\(said))" } ?? said
  }

  init(_ reason: String, code: Int32 = X509_V_ERR_CERT_REJECTED) {
    self.code = code
    self.reason = reason
  }

  /// The certificate is for others than who was meant.
  static func name(_ expected: String, code: Int32) -> PeerRefusal {
    PeerRefusal("it is not for the name \(expected)", code: code)
  }
}
