import CTenancyProtobufC
import Tenancy
import TenancyRPC

/// How much one request may describe. A request of 4 MiB can hold two million fields, each of which
/// takes much more time and memory than its two bytes: it is looked through before it is decoded, and
/// no further than the limits.
struct RequestLimits {
  /// A request of no more bytes is decoded without a look: it can't describe much.
  static let unexaminedBytes = 1024
  /// Fields, those of the messages in it included, known or not. The largest requests that make sense
  /// (1,000 checks, 1,000 flags and a mask that names them) have 4,000.
  static let maximumFields = 5_000
  /// Bytes of all texts together. What this version does not know is passed over, however long.
  static let maximumTextBytes = 512 * 1024

  /// Fields and bytes of text that were seen.
  private(set) var fields = 0
  private(set) var textBytes = 0

  /// - Parameter reason: of the error for what is over a limit.
  /// - Throws: INVALID_ARGUMENT; the field it names is the one that went too far.
  static func check(
    _ request: UnsafeRawBufferPointer, _ message: UnsafePointer<ProtobufCMessageDescriptor>,
    reason: TenancyError.Reason
  ) throws(TenancyError) {
    guard request.count > unexaminedBytes else { return }
    var limits = RequestLimits()
    do throws(FieldViolation) {
      try limits.read(request, message)
    } catch {
      throw error.field.isEmpty
        ? .invalid("request", error.description)
        : .invalid(error.field, error.description, reason: reason)
    }
  }

  mutating func read(
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
    guard fields <= Self.maximumFields else {
      throw FieldViolation(
        field: "", description: "the request has more than \(Self.maximumFields) fields")
    }
    guard let field, case .bytes(let bytes) = content else { return }
    if field.pointee.type == PROTOBUF_C_TYPE_MESSAGE, let inner = field.pointee.descriptor {
      // What libprotobuf-c documents of `descriptor` for fields of this type.
      return try read(bytes, inner.assumingMemoryBound(to: ProtobufCMessageDescriptor.self))
    }
    textBytes += bytes.count
    guard textBytes <= Self.maximumTextBytes else {
      throw FieldViolation(
        field: "",
        description: "the request has more than \(Self.maximumTextBytes) bytes of text")
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
