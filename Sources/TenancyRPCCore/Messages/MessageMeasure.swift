internal import CTenancyProtobufC

/// How much an encoded message describes, looked at before it is decoded: 4 MiB can hold two million fields, each of
/// which takes much more time and memory than its two bytes.
public struct MessageMeasure: Sendable {
  /// Fields at most, those of the messages in it included, known or not.
  public let maximumFields: Int
  /// Bytes at most of all texts together. What this version does not know is passed over, however long.
  public let maximumTextBytes: Int
  /// Fields that were seen.
  public private(set) var fields = 0
  /// Bytes of text that were seen.
  public private(set) var textBytes = 0

  /// Nothing has been seen yet.
  public init(maximumFields: Int, maximumTextBytes: Int) {
    self.maximumFields = maximumFields
    self.maximumTextBytes = maximumTextBytes
  }

  /// Looks through an encoding, and no further than the limits.
  /// - Throws: what is over a limit, under the name of the field that went too far; or, under no name, that it is no
  ///   encoding.
  public mutating func read<Message: WireMessage>(
    _ bytes: UnsafeRawBufferPointer, as _: Message.Type
  ) throws(FieldViolation) {
    try read(bytes, Message.descriptor)
  }

  private mutating func read(
    _ bytes: UnsafeRawBufferPointer, _ message: UnsafePointer<ProtobufCMessageDescriptor>
  ) throws(FieldViolation) {
    var cursor = WireCursor(bytes)
    while let (number, content) = try cursor.next() {
      let field = protobuf_c_message_descriptor_get_field(message, number)
      do {
        try count(content, field)
      } catch {
        throw FieldViolation(
          field: Self.path(field, error.field), description: error.description)
      }
    }
  }

  private mutating func count(
    _ content: WireCursor.Content, _ field: UnsafePointer<ProtobufCFieldDescriptor>?
  ) throws(FieldViolation) {
    fields += 1
    guard fields <= maximumFields else {
      throw FieldViolation(
        field: "", description: "the request has more than \(maximumFields) fields")
    }
    guard let field, case .bytes(let bytes) = content else { return }
    if field.pointee.type == PROTOBUF_C_TYPE_MESSAGE, let inner = field.pointee.descriptor {
      // What libprotobuf-c documents of `descriptor` for fields of this type.
      return try read(bytes, inner.assumingMemoryBound(to: ProtobufCMessageDescriptor.self))
    }
    textBytes += bytes.count
    guard textBytes <= maximumTextBytes else {
      throw FieldViolation(
        field: "", description: "the request has more than \(maximumTextBytes) bytes of text")
    }
  }

  /// The name of a field before that of one in it; unknown ones have none.
  private static func path(
    _ field: UnsafePointer<ProtobufCFieldDescriptor>?, _ inner: String
  ) -> String {
    guard let name = field?.pointee.name.map({ String(cString: $0) }) else { return inner }
    return inner.isEmpty ? name : "\(name).\(inner)"
  }
}
