/// Subjects that name a tenant: `spiffe://{trust domain}/tenant/{id or slug}/…`. What one of them
/// holds in that tenant it holds by the tenant's id, so that it is the same under every name.
enum TenantSubject {
  private static let scheme: StaticString = "spiffe://"
  private static let collection: StaticString = "/tenant/"

  /// Where the tenant's name is; nil in subjects of other forms.
  @inline(__always)
  static func name(in subject: RawSpan) -> Range<Int>? {
    // Most subjects are told by their first byte.
    guard subject.byteCount > 0, subject.byte(0) == UInt8(ascii: "s") else { return nil }
    return find(in: subject)
  }

  private static func find(in subject: RawSpan) -> Range<Int>? {
    guard begins(subject, with: scheme, at: 0) else { return nil }
    let domain = end(of: subject, from: scheme.utf8CodeUnitCount)
    guard begins(subject, with: collection, at: domain) else { return nil }
    let start = domain + collection.utf8CodeUnitCount
    let end = end(of: subject, from: start)
    return start < end ? start..<end : nil
  }

  static func name(_ range: Range<Int>, of subject: String) -> String {
    String(
      decoding: subject.utf8.dropFirst(range.lowerBound).prefix(range.count), as: UTF8.self)
  }

  /// The subject with another name in the place of its own.
  static func text(_ subject: String, _ name: Range<Int>, replacedBy id: String) -> String {
    let bytes = subject.utf8
    return String(decoding: bytes.prefix(name.lowerBound), as: UTF8.self) + id
      + String(decoding: bytes.dropFirst(name.upperBound), as: UTF8.self)
  }

  /// Where the part that begins at `start` ends: at a slash or with the text.
  private static func end(of subject: RawSpan, from start: Int) -> Int {
    var end = start
    while end < subject.byteCount, subject.byte(end) != UInt8(ascii: "/") { end += 1 }
    return end
  }

  private static func begins(_ subject: RawSpan, with text: StaticString, at start: Int) -> Bool {
    guard subject.byteCount - start >= text.utf8CodeUnitCount else { return false }
    return text.withUTF8Buffer { text in
      text.indices.allSatisfy { subject.byte(start + $0) == text[$0] }
    }
  }
}
