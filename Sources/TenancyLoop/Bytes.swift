#if canImport(Glibc)
  public import Glibc
#elseif canImport(Musl)
  public import Musl
#endif

/// Whether two buffers of the same length hold the same bytes.
@inlinable @inline(__always)
public func equalBytes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
  guard let first = a.baseAddress, let second = b.baseAddress else { return a.count == b.count }
  return memcmp(first, second, a.count) == 0
}

/// Whether a buffer holds exactly the bytes of an ASCII literal.
@inlinable @inline(__always)
public func equals(_ bytes: UnsafeRawBufferPointer, _ literal: StaticString) -> Bool {
  guard bytes.count == literal.utf8CodeUnitCount, let base = bytes.baseAddress else {
    return false
  }
  return memcmp(base, literal.utf8Start, bytes.count) == 0
}

/// The literal is in lower case.
public func hasPrefixIgnoringCase(_ bytes: UnsafeRawBufferPointer, _ literal: StaticString) -> Bool
{
  guard bytes.count >= literal.utf8CodeUnitCount else { return false }
  return literal.withUTF8Buffer { wanted in
    zip(bytes, wanted).allSatisfy { byte, letter in
      byte == letter
        || ((UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) && byte | 0x20 == letter)
    }
  }
}

@inlinable @inline(__always)
public func hasPrefix(_ bytes: UnsafeRawBufferPointer, _ literal: StaticString) -> Bool {
  guard bytes.count >= literal.utf8CodeUnitCount, let base = bytes.baseAddress else {
    return false
  }
  return memcmp(base, literal.utf8Start, literal.utf8CodeUnitCount) == 0
}
