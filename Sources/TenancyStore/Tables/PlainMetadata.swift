internal import Tenancy

/// What a row has of most tenants with labels, which is nothing besides: `{"metadata":{"labels":{"a":"b"}}}`, read
/// without a JSON coder, which would take most of the time that loading a large store does. Any other text, and every
/// other spelling of these, is left to the coder.
enum PlainMetadata {
  private static let start: StaticString = #"{"metadata":{"labels":{""#
  private static let middle: StaticString = #"":""#
  private static let next: StaticString = #"",""#
  private static let end: StaticString = #""}}}"#

  /// Nil for a text that is not of this form.
  static func decode(_ text: RawSpan) -> TenantMetadata? {
    text.withUnsafeBytes { bytes in
      var rest = bytes
      guard skip(start, in: &rest) else { return nil }
      var labels: [String: String] = [:]
      repeat {
        let key = plain(in: &rest)
        guard skip(middle, in: &rest) else { return nil }
        let value = plain(in: &rest)
        // Which of two counts is the coder's to say.
        guard labels.updateValue(value, forKey: key) == nil else { return nil }
      } while skip(next, in: &rest)
      return skip(end, in: &rest) && rest.isEmpty ? TenantMetadata(labels: labels) : nil
    }
  }

  private static func skip(
    _ part: StaticString, in rest: inout UnsafeRawBufferPointer
  ) -> Bool {
    part.withUTF8Buffer { part in
      guard rest.count >= part.count,
        UnsafeRawBufferPointer(rebasing: rest.prefix(part.count))
          .holdsSame(as: UnsafeRawBufferPointer(part))
      else { return false }
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
      return true
    }
  }

  /// Up to what JSON may write in another way, or labels do not have.
  private static func plain(in rest: inout UnsafeRawBufferPointer) -> String {
    let text = rest.prefix(while: isPlain)
    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(text.count))
    return String(decoding: text, as: UTF8.self)
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
      UInt8(ascii: "."), UInt8(ascii: "/"):
      true
    default: false
    }
  }
}
