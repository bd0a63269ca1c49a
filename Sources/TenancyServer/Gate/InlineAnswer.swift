import TenancyRPC

/// What a method answers that is answered from memory. Valid as long as what the call's arena hands out.
protocol InlineAnswer: SendableMetatype {
  associatedtype Response: WireMessage

  /// Bytes.
  var encodedSize: Int { get }
  /// - Parameter target: has room for `encodedSize`, all of which is written.
  func encode(into target: UnsafeMutableRawPointer)
}

extension EncodedMessage: InlineAnswer {
  typealias Response = Message

  var encodedSize: Int { bytes.count }

  func encode(into target: UnsafeMutableRawPointer) {
    if let source = bytes.baseAddress { target.copyMemory(from: source, byteCount: bytes.count) }
  }
}

/// A message that libprotobuf-c encodes.
struct MessageInC<Response: WireMessage>: InlineAnswer {
  private let message: UnsafePointer<Response.CMessage>

  init(_ message: UnsafeMutablePointer<Response.CMessage>) { self.message = UnsafePointer(message) }

  var encodedSize: Int { Response.encodedSize(message) }

  func encode(into target: UnsafeMutableRawPointer) { Response.pack(message, into: target) }
}
