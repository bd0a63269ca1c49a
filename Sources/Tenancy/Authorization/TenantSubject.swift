/// Subjects that name a tenant: `spiffe://{trust domain}/tenant/{id or slug}/…`. What one of them
/// holds in that tenant it holds by the tenant's id, so that it is the same under every name.
enum TenantSubject {
  /// What a subject is read as.
  enum Kind: Equatable {
    /// No workload of any tenant.
    case other
    /// Looks like a SPIFFE ID and is none of which the tenant could be told: others may read it as one.
    case malformed
    /// A workload of the tenant whose name is there.
    case workload(Range<Int>)
  }

  private static let scheme: StaticString = "spiffe:"
  private static let slashes: StaticString = "//"
  private static let collection: StaticString = "tenant"

  @inline(__always)
  static func kind(of subject: RawSpan) -> Kind {
    // Most subjects are told by their first byte.
    guard subject.byteCount > 0, subject.byte(0) | 0x20 == UInt8(ascii: "s") else { return .other }
    return read(subject)
  }

  /// Where the tenant's name is; nil in subjects of other forms.
  static func name(in subject: RawSpan) -> Range<Int>? {
    if case .workload(let name) = kind(of: subject) { name } else { nil }
  }

  private static func read(_ subject: RawSpan) -> Kind {
    let start = scheme.utf8CodeUnitCount
    guard begins(subject, with: scheme, at: 0, ignoringCase: true) else { return .other }
    guard begins(subject, with: scheme, at: 0), begins(subject, with: slashes, at: start) else {
      return .malformed
    }
    var (number, at) = (0, start + slashes.utf8CodeUnitCount)
    var (isTenant, name): (Bool, Range<Int>?) = (false, nil)
    while true {
      let segment = at..<end(of: subject, from: at)
      guard isSegment(subject, segment) else { return .malformed }
      switch number {
      case 1:
        isTenant =
          segment.count == collection.utf8CodeUnitCount
          && begins(subject, with: collection, at: segment.lowerBound)
      case 2: name = segment
      default: break
      }
      if segment.upperBound == subject.byteCount { break }
      (number, at) = (number + 1, segment.upperBound + 1)
    }
    guard number > 0 else { return .malformed }
    guard isTenant else { return .other }
    return name.map { .workload($0) } ?? .malformed
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

  private static func isSegment(_ subject: RawSpan, _ segment: Range<Int>) -> Bool {
    let isDots = segment.count <= 2 && segment.allSatisfy { subject.byte($0) == UInt8(ascii: ".") }
    return !isDots
      && segment.allSatisfy { offset in
        let byte = subject.byte(offset)
        return Permission.isNameByte(byte)
          || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
      }
  }

  private static func begins(
    _ subject: RawSpan, with text: StaticString, at start: Int, ignoringCase: Bool = false
  ) -> Bool {
    guard subject.byteCount - start >= text.utf8CodeUnitCount else { return false }
    return text.withUTF8Buffer { text in
      text.indices.allSatisfy { offset in
        let byte = subject.byte(start + offset)
        let letter = ignoringCase && (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
        return unsafe letter == text[offset]  // In range: `offset` is one of its indices.
      }
    }
  }
}
