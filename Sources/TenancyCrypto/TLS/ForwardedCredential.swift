internal import CTenancyOpenSSL

/// A certificate that a proxy has passed on, whose owner has proven to the proxy to have its key. Thread-safe.
public final class ForwardedCredential: Sendable {
  /// What it says.
  public let certificate: PeerCertificate
  private let credential: PeerCredential

  fileprivate init(_ credential: PeerCredential) {
    certificate = credential.certificate
    self.credential = credential
  }

  /// Why the certificate is not accepted any more, or nil: by the CAs, CRLs and rules that are loaded now.
  ///
  /// Verifies a chain when others were loaded since, and looks at the clock otherwise.
  public func refusal() -> String? { credential.refusalNow() }
}

extension TLSContext {
  /// Changes when CAs and CRLs are loaded anew: what was refused may be accepted then.
  public var generation: UInt64 { snapshot.generation }

  /// Bytes of PEM that are looked at, at most.
  public static let maximumForwardedBytes = 8 * 1024

  /// Judges a certificate that a proxy has passed on as if its owner had connected here. Of its chain the CAs that are
  /// loaded have to hold the rest.
  ///
  /// Verifies a chain unless this one was verified just before: some 100 us.
  /// - Parameter pem: the certificate, and nothing else but white space.
  /// - Returns: what it is, or why it is refused.
  public func judge(forwarded pem: [UInt8]) -> Result<ForwardedCredential, ForwardedRefusal> {
    guard pem.count <= Self.maximumForwardedBytes, let text = Self.single(pem) else {
      return .failure(ForwardedRefusal("not one PEM certificate"))
    }
    let certificate: Certificate
    do throws(PKIError) {
      certificate = try Certificate(pem: text)
    } catch {
      return .failure(ForwardedRefusal("not a PEM certificate"))
    }
    let snapshot = snapshot
    switch snapshot.trust.judge(leaf: certificate.pointer, untrusted: nil) {
    case .success(let peer):
      return .success(
        ForwardedCredential(PeerCredential(peer, context: self, judgedBy: snapshot)))
    case .failure(let refusal):
      return .failure(ForwardedRefusal(refusal.reason))
    }
  }

  /// Readers differ in what they make of two, or of what stands around one.
  private static func single(_ pem: [UInt8]) -> String? {
    guard !pem.contains(0) else { return nil }
    let lines = String(decoding: pem, as: UTF8.self).split(whereSeparator: \.isNewline)
    guard lines.count >= 3, lines.first == "-----BEGIN CERTIFICATE-----",
      lines.last == "-----END CERTIFICATE-----",
      lines.dropFirst().dropLast().allSatisfy({ !$0.contains("-") })
    else { return nil }
    return lines.joined(separator: "\n") + "\n"
  }
}

/// Why a certificate that a proxy has passed on is refused.
public struct ForwardedRefusal: Error, Sendable {
  /// For people: what is in the certificate is not quoted.
  public let reason: String

  init(_ reason: String) { self.reason = reason }
}
