public import CTenancyProtobufC

/// Proto3 strings as they come: bytes that are text only once they have been checked.
public enum WireText {
  /// The bytes of a string field, valid UTF-8 without NUL. Takes no memory.
  @inlinable
  public static func validate(
    _ data: ProtobufCBinaryData, field: StaticString
  ) throws(FieldViolation) -> UnsafeRawBufferPointer {
    let bytes = data.bytes
    if let problem = problem(in: bytes) {
      throw FieldViolation(field: String(describing: field), description: problem.description)
    }
    return bytes
  }

  /// A string field.
  @inlinable
  public static func string(
    _ data: ProtobufCBinaryData, field: StaticString
  ) throws(FieldViolation) -> String {
    String(decoding: try validate(data, field: field), as: UTF8.self)
  }

  /// Why bytes are not acceptable text.
  public enum Problem: Sendable {
    /// Not UTF-8 (RFC 3629).
    case notUTF8
    /// A NUL, at which C would end the text.
    case containsNUL

    /// Goes behind a field's name: `is not valid UTF-8`.
    public var description: String {
      switch self {
      case .notUTF8: "is not valid UTF-8"
      case .containsNUL: "contains a NUL character"
      }
    }
  }

  /// What is wrong with `bytes`. ASCII, the common case, is looked at eight bytes at a time.
  public static func problem(in bytes: UnsafeRawBufferPointer) -> Problem? {
    let highBits: UInt64 = 0x8080_8080_8080_8080
    let ones: UInt64 = 0x0101_0101_0101_0101
    var offset = 0
    while offset + 8 <= bytes.count {
      let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      // Without high bits, only a zero byte borrows into its own high bit.
      if (word | (word &- ones)) & highBits != 0 {
        return slowProblem(in: UnsafeRawBufferPointer(rebasing: bytes[offset...]))
      }
      offset += 8
    }
    while offset < bytes.count {
      if bytes[offset] == 0 || bytes[offset] >= 0x80 {
        return slowProblem(in: UnsafeRawBufferPointer(rebasing: bytes[offset...]))
      }
      offset += 1
    }
    return nil
  }

  /// For text that is not all ASCII: `bytes` starts at a character, since ASCII went before it.
  private static func slowProblem(in bytes: UnsafeRawBufferPointer) -> Problem? {
    let isUTF8 = bytes.withMemoryRebound(to: UInt8.self) {
      (try? UTF8Span(validating: $0.span)) != nil
    }
    if !isUTF8 { return .notUTF8 }
    return bytes.contains(0) ? .containsNUL : nil
  }
}

extension ProtobufCBinaryData {
  /// What it points to; nothing without an address, whatever its length says.
  @inlinable public var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : len)
  }
}
