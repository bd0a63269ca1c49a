public import CTenancyProtobufC

/// Reads what generated messages consist of from their C counterparts.
public enum WireRead {
  /// libprotobuf-c's array of messages, or of a map's entries.
  public typealias Messages<C> = UnsafeMutablePointer<UnsafeMutablePointer<C>?>

  /// A message field; nil where it is not set.
  /// - Throws: what is wrong inside of it, with `field` before its path.
  @inlinable
  public static func message<M: WireMessage>(
    _ pointer: UnsafeMutablePointer<M.CMessage>?, field: StaticString
  ) throws(FieldViolation) -> M? {
    guard let pointer else { return nil }
    do {
      return try M(reading: pointer)
    } catch {
      throw error.inside(field)
    }
  }

  /// A repeated message field.
  /// - Throws: what is wrong with an element, with `field` and its index before its path.
  @inlinable
  public static func messages<M: WireMessage>(
    _ array: Messages<M.CMessage>?, count: Int, field: StaticString
  ) throws(FieldViolation) -> [M] {
    guard let array else { return [] }
    var messages: [M] = []
    messages.reserveCapacity(count)
    for index in 0..<count {
      guard let pointer = array[index] else { continue }
      do {
        messages.append(try M(reading: pointer))
      } catch {
        throw error.inside(field, index: index)
      }
    }
    return messages
  }

  /// A repeated string field.
  /// - Throws: which element is not UTF-8 or contains a NUL.
  @inlinable
  public static func strings(
    _ array: UnsafeMutablePointer<ProtobufCBinaryData>?, count: Int, field: StaticString
  ) throws(FieldViolation) -> [String] {
    guard let array else { return [] }
    var strings: [String] = []
    strings.reserveCapacity(count)
    for index in 0..<count {
      do {
        strings.append(try WireText.string(array[index], field: ""))
      } catch {
        throw error.inside(field, index: index)
      }
    }
    return strings
  }

  /// A list of what needs no validation.
  @inlinable
  public static func list<C, Value>(
    _ array: UnsafeMutablePointer<C>?, count: Int, _ value: (C) -> Value
  ) -> [Value] {
    UnsafeBufferPointer(start: array, count: array == nil ? 0 : count).map(value)
  }

  /// A map; of entries with the same key, the last one counts.
  @inlinable
  public static func map<Entry, Value>(
    _ entries: Messages<Entry>?, count: Int, field: StaticString,
    key: (Entry) -> ProtobufCBinaryData, value: (Entry) throws(FieldViolation) -> Value
  ) throws(FieldViolation) -> [String: Value] {
    guard let entries else { return [:] }
    var map: [String: Value] = [:]
    map.reserveCapacity(count)
    for index in 0..<count {
      guard let entry = entries[index]?.pointee else { continue }
      let key = try WireText.string(key(entry), field: field)
      do {
        map[key] = try value(entry)
      } catch {
        throw error.inside(field, key: key)
      }
    }
    return map
  }
}
