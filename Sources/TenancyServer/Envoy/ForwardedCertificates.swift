import Tenancy
import TenancyCrypto

/// A client's certificate that was judged, and who its owner is.
final class KnownCertificate {
  let caller: Caller
  private let credential: ForwardedCredential
  /// As it came.
  fileprivate let bytes: [UInt8]
  /// By which CAs and CRLs, and in which second, it was found good last.
  private var found: (generation: UInt64, second: Int64)?

  fileprivate init(_ caller: Caller, _ credential: ForwardedCredential, _ bytes: [UInt8]) {
    self.caller = caller
    self.credential = credential
    self.bytes = bytes
  }

  /// Whether it is still accepted. What only time can change is looked at each second: a CRL that has ended has a chain
  /// verified anew each time.
  fileprivate func isGood(at now: Timestamp, _ generation: UInt64) -> Bool {
    if let found, found == (generation, now.seconds) { return true }
    guard credential.refusal() == nil else { return false }
    found = (generation, now.seconds)
    return true
  }
}

/// A client's certificate that was not accepted, and why.
private struct RefusedCertificate {
  let bytes: [UInt8]
  let reason: TenancyError
  /// Of the CAs and CRLs.
  let generation: UInt64
  let until: Timestamp
}

/// Certificates of clients that were accepted, by what Envoy tells of them: one that comes again costs a look-up.
/// Confined to an event loop.
///
/// What was refused is kept apart, so that it pushes none out, and for a moment: whoever goes on with it costs no more
/// than who goes on with another.
final class ForwardedCertificates {
  /// What a certificate is looked up by: bytes of its signature.
  private struct Key: Hashable {
    private let part: SIMD4<UInt64>

    init?(_ text: RawSpan) {
      // What comes behind is the end of its last line, and the footer with its escapes.
      let (size, behind) = (MemoryLayout<SIMD4<UInt64>>.size, 64)
      guard text.byteCount >= size + behind else { return nil }
      part = text.withUnsafeBytes {
        // In range: the text has so many bytes.
        $0.loadUnaligned(fromByteOffset: $0.count - size - behind, as: SIMD4<UInt64>.self)
      }
    }
  }

  private let context: TLSContext?
  private let rules: IdentityRules
  private var known: BoundedCache<Key, KnownCertificate>
  private var refused: BoundedCache<Key, RefusedCertificate>

  /// Bytes of what Envoy tells of a certificate, at most: half of them may be escapes.
  static let maximumBytes = 12 * 1024
  /// For how long a refusal holds while CAs and CRLs stay.
  static let refusalHolds = Duration.seconds(5)

  /// - Parameter context: nil: none is accepted.
  init(_ context: TLSContext?, _ rules: IdentityRules, capacity: Int = 2048) {
    self.context = context
    self.rules = rules
    known = BoundedCache(capacity: capacity)
    refused = BoundedCache(capacity: capacity / 8)
  }

  var count: Int { known.count }

  /// Whether the CAs, CRLs and rules of now accept a certificate that was accepted before.
  func accept(_ known: KnownCertificate, at now: Timestamp) -> Bool {
    context.map { known.isGood(at: now, $0.generation) } ?? false
  }

  /// A certificate that was accepted before. Whether it still is, is for `accept` to say.
  func find(_ text: RawSpan) -> KnownCertificate? {
    guard let key = Key(text), let found = known[key] else { return nil }
    let bytes = found.bytes
    return bytes.span.bytes.equals(text) ? found : nil
  }

  /// Why a certificate was refused just before; nil: it was not.
  func refusal(of text: RawSpan, at now: Timestamp) -> TenancyError? {
    guard let key = Key(text), let found = refused[key], now < found.until,
      found.generation == context?.generation
    else { return nil }
    let bytes = found.bytes
    return bytes.span.bytes.equals(text) ? found.reason : nil
  }

  /// Verifies a certificate that was not seen before: some 100 us.
  /// - Parameter text: PEM, percent-encoded.
  /// - Throws: UNAUTHENTICATED and why it is not accepted.
  func judge(_ text: RawSpan, at now: Timestamp) throws(TenancyError) -> KnownCertificate {
    guard let context else {
      throw Self.refused("the server has no CAs to judge certificates by: it has no tls configured")
    }
    guard text.byteCount <= Self.maximumBytes else {
      throw Self.refused("more than \(Self.maximumBytes) bytes")
    }
    let generation = context.generation
    do throws(TenancyError) {
      return try verify(text, context)
    } catch {
      if let key = Key(text) {
        refused.insert(
          RefusedCertificate(
            bytes: text.withUnsafeBytes { Array($0) }, reason: error, generation: generation,
            until: now + Self.refusalHolds), for: key)
      }
      throw error
    }
  }

  private func verify(
    _ text: RawSpan, _ context: TLSContext
  ) throws(TenancyError) -> KnownCertificate {
    guard let pem = PercentEncoding.decode(text) else {
      throw Self.refused("not one percent-encoded PEM certificate")
    }
    let credential: ForwardedCredential
    switch context.judge(forwarded: pem) {
    case .success(let found): credential = found
    case .failure(let refusal): throw Self.refused(refusal.reason)
    }
    switch rules.caller(
      .certificate(credential.certificate), refusal: { credential.refusal() })
    {
    case .success(let caller):
      let found = KnownCertificate(caller, credential, text.withUnsafeBytes { Array($0) })
      if let key = Key(text) { known.insert(found, for: key) }
      return found
    case .failure(let refusal): throw Self.refused(refusal.reason)
    }
  }

  static func refused(_ reason: String) -> TenancyError {
    TenancyError(
      .unauthenticated, .certificateRefused, "the client's certificate is not accepted: \(reason)")
  }
}

/// Escapes of URLs (RFC 3986 §2.1).
enum PercentEncoding {
  /// - Returns: nil for an escape that is none.
  static func decode(_ text: RawSpan) -> [UInt8]? {
    var out: [UInt8] = []
    out.reserveCapacity(text.byteCount)
    var offset = 0
    while offset < text.byteCount {
      let byte = text.byte(offset)
      guard byte == UInt8(ascii: "%") else {
        out.append(byte)
        offset += 1
        continue
      }
      guard offset + 2 < text.byteCount, let high = value(text.byte(offset + 1)),
        let low = value(text.byte(offset + 2))
      else { return nil }
      out.append(high << 4 | low)
      offset += 3
    }
    return out
  }

  /// What may be in a header's value as it is; the rest is escaped, as is the escape itself.
  static func encode(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "%") }
    if isPlain { return text }
    var out: [UInt8] = []
    for byte in text.utf8 {
      if (0x21...0x7E).contains(byte), byte != UInt8(ascii: "%") {
        out.append(byte)
      } else {
        out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: out, as: UTF8.self)
  }

  private static let digits = Array("0123456789ABCDEF".utf8)

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    default: nil
    }
  }
}
