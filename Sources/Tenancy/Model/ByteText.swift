/// A set of ASCII characters. To know whether a byte is in it takes a few instructions, where comparing with
/// one range after the other is felt in each path and question.
struct ASCIISet: Sendable {
  private let low: UInt64
  private let high: UInt64

  init(_ members: StaticString) {
    var low: UInt64 = 0
    var high: UInt64 = 0
    members.withUTF8Buffer { bytes in
      for at in bytes.indices {
        let byte = unsafe bytes[at]
        if byte < 64 { low |= 1 << UInt64(byte) } else { high |= 1 << UInt64(byte & 63) }
      }
    }
    self.low = low
    self.high = high
  }

  @inline(__always)
  func contains(_ byte: UInt8) -> Bool {
    byte < 128 && (byte < 64 ? low : high) >> UInt64(byte & 63) & 1 == 1
  }
}

extension UnsafeRawBufferPointer {
  /// Whether both hold the same bytes, looked at eight at a time; `elementsEqual` takes about as long for
  /// one.
  public func holdsSame(as other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count else { return false }
    guard let first = baseAddress, let second = other.baseAddress else { return true }  // Empty.
    guard count >= 8 else { return unsafe Self.areEqual(first, second, fewerThanEight: count) }
    var at = 0
    while at < count - 8 {
      guard unsafe Self.areEqual(first, second, at, UInt64.self) else { return false }
      at += 8
    }
    // The last eight may overlap those before.
    return unsafe Self.areEqual(first, second, count - 8, UInt64.self)
  }

  @inline(__always)
  private static func areEqual(
    _ first: UnsafeRawPointer, _ second: UnsafeRawPointer, fewerThanEight count: Int
  ) -> Bool {
    if count >= 4 {
      return unsafe areEqual(first, second, 0, UInt32.self)
        && areEqual(first, second, count - 4, UInt32.self)
    }
    for at in 0..<count where unsafe !areEqual(first, second, at, UInt8.self) { return false }
    return true
  }

  @inline(__always)
  private static func areEqual<Word: FixedWidthInteger & BitwiseCopyable>(
    _ first: UnsafeRawPointer, _ second: UnsafeRawPointer, _ at: Int, _: Word.Type
  ) -> Bool {
    unsafe first.loadUnaligned(fromByteOffset: at, as: Word.self)
      == second.loadUnaligned(fromByteOffset: at, as: Word.self)
  }
}

extension RawSpan {
  /// Where the first byte at `start` or behind it is that is not in `set`; the end if there is none.
  func end(of set: ASCIISet, from start: Int) -> Int {
    unsafe withUnsafeBytes { bytes in
      var at = start
      while at < bytes.count, unsafe set.contains(bytes[at]) { at += 1 }
      return at
    }
  }

  /// Whether the text is all of it, or stands at its beginning.
  public func begins(with text: String) -> Bool {
    let wanted = unsafe text.utf8Span.span.bytes
    return wanted.byteCount <= byteCount
      && extracting(first: wanted.byteCount).equals(wanted)
  }

  /// Whether these are the text's UTF-8 bytes.
  public func equals(_ text: String) -> Bool { unsafe equals(text.utf8Span.span.bytes) }

  /// Whether both hold the same bytes.
  public func equals(_ other: RawSpan) -> Bool {
    unsafe withUnsafeBytes { bytes in
      unsafe other.withUnsafeBytes { unsafe bytes.holdsSame(as: $0) }
    }
  }

  /// A text of its own; what is not UTF-8 is replaced.
  public var decodedText: String {
    unsafe withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
  }
}
