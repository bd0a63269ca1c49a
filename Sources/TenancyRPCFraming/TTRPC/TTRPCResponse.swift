public import TenancyLoop
public import TenancyRPCCore

/// The envelope that ends a call: `ttrpc.Response`. Field 1 is a `google.rpc.Status`, 2 the message.
public struct TTRPCResponse {
  /// nil: OK.
  public private(set) var status: RPCStatus?
  /// Empty where there is none.
  public private(set) var payload = UnsafeRawBufferPointer(start: nil, count: 0)

  // MARK: Reading

  /// - Parameter envelope: kept valid by the caller for as long as `payload` is used.
  public init(reading envelope: UnsafeRawBufferPointer) throws(ProtobufReader.Malformed) {
    var reader = ProtobufReader(envelope)
    // Parts of a message that is there twice are joined (protobuf encoding, "Last One Wins").
    var status: [UInt8] = []
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let value)): status += value
      case (2, .bytes(let value)): payload = value
      default: break
      }
    }
    let outcome = status.withUnsafeBytes { bytes in
      Result { () throws(ProtobufReader.Malformed) in try Self.readStatus(bytes) }
    }
    self.status = try outcome.get()
  }

  private static func readStatus(
    _ bytes: UnsafeRawBufferPointer
  ) throws(ProtobufReader.Malformed) -> RPCStatus? {
    var code = 0
    var message = ""
    var hasDetails = false
    var reader = ProtobufReader(bytes)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .varint(let value)): code = Int(Int32(truncatingIfNeeded: value))
      case (2, .bytes(let value)): message = String(decoding: value, as: UTF8.self)
      case (3, .bytes): hasDetails = true
      default: break
      }
    }
    guard code != 0 else { return nil }
    return RPCStatus(
      RPCStatus.Code(number: code), message, details: hasDetails ? Array(bytes) : [])
  }

  // MARK: Writing

  /// Whether a message of `count` bytes fits a response.
  public static func fits(_ count: Int) -> Bool {
    ProtobufSize.field(count) <= TTRPCFrameHeader.maximumPayload
  }

  /// Appends a frame that answers OK with a message of `count` bytes, and returns where that belongs.
  ///
  /// - Precondition: it fits.
  @inline(__always)
  public static func open(
    in output: inout ByteStore, stream: UInt32, count: Int
  ) -> UnsafeMutableRawPointer {
    let size = count == 0 ? 0 : ProtobufSize.field(count)
    let header = TTRPCFrameHeader(payloadCount: size, stream: stream, type: .response)
    let start = header.open(in: &output)
    guard count > 0 else { return start }
    var writer = ProtobufWriter(start)
    writer.open(2, count: count)
    return writer.at
  }

  /// Appends a frame that ends a stream with `status`. A longer message is cut, larger details are left
  /// out.
  public static func write(_ status: RPCStatus, to output: inout ByteStore, stream: UInt32) {
    let message = status.message.clipped(toBytes: RPCStatus.maximumSentMessage)
    let details =
      status.details.count <= RPCStatus.maximumSentDetails ? detailFields(status.details) : []
    var count = 2
    if !message.isEmpty { count += ProtobufSize.field(message.utf8.count) }
    count += details.reduce(0) { $0 + ProtobufSize.field($1.count) }
    let header = TTRPCFrameHeader(
      payloadCount: ProtobufSize.field(count), stream: stream, type: .response)
    var writer = ProtobufWriter(header.open(in: &output))
    writer.open(1, count: count)
    writer.number(1, UInt64(status.code.rawValue))
    if !message.isEmpty { writer.string(2, message) }
    for detail in details { detail.withUnsafeBytes { writer.bytes(3, $0) } }
  }

  /// The details of a serialized `google.rpc.Status`; none if it is malformed, as they are an extra.
  private static func detailFields(_ status: [UInt8]) -> [[UInt8]] {
    status.withUnsafeBytes { bytes in
      var details: [[UInt8]] = []
      var reader = ProtobufReader(bytes)
      do {
        while let field = try reader.next() {
          if field.number == 3, case .bytes(let detail) = field.value {
            details.append(Array(detail))
          }
        }
      } catch {
        return []
      }
      return details
    }
  }
}
