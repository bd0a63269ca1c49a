public import TenancyLoop
public import TenancyRPCCore

/// The envelope of a call: `ttrpc.Request`, read in place.
///
/// Field 1 is the service, 2 the method, 3 the message, 4 the timeout in nanoseconds, 5 the metadata, each
/// entry a message of key (1) and value (2). Of a field that is there twice, the last counts.
public struct TTRPCRequest {
  /// Without slashes.
  public private(set) var service = UnsafeRawBufferPointer(start: nil, count: 0)
  public private(set) var method = UnsafeRawBufferPointer(start: nil, count: 0)
  public private(set) var payload = UnsafeRawBufferPointer(start: nil, count: 0)
  /// Whether there is a payload, which may be empty.
  public private(set) var hasPayload = false
  /// Zero: the client waits for ever. Negative: no more.
  public private(set) var timeoutNanoseconds: Int64 = 0
  public private(set) var metadataCount = 0
  /// Names, values and 32 for each entry, as for header lists.
  public private(set) var metadataBytes = 0
  /// What it was read from.
  public let envelope: UnsafeRawBufferPointer

  /// - Parameter envelope: kept valid by the caller for as long as the request is used.
  public init(reading envelope: UnsafeRawBufferPointer) throws(ProtobufReader.Malformed) {
    self.envelope = envelope
    var reader = ProtobufReader(envelope)
    while !reader.isAtEnd {
      if let (number, value) = reader.nextShort() {
        try take(number, value)
      } else if let field = try reader.next() {
        switch field.value {
        case .bytes(let value): try take(UInt8(clamping: field.number), value)
        case .varint(let value) where field.number == 4:
          timeoutNanoseconds = Int64(bitPattern: value)
        // A known number of another type is an unknown field, too.
        case .varint, .fixed: break
        }
      }
    }
  }

  @inline(__always)
  private mutating func take(
    _ number: UInt8, _ value: UnsafeRawBufferPointer
  ) throws(ProtobufReader.Malformed) {
    switch number {
    case 1: service = value
    case 2: method = value
    case 3:
      payload = value
      hasPayload = true
    case 5: try count(value)
    default: break
    }
  }

  private mutating func count(_ entry: UnsafeRawBufferPointer) throws(ProtobufReader.Malformed) {
    let (key, value) = try Self.entry(entry)
    guard Self.isUTF8(key), Self.isUTF8(value) else { throw ProtobufReader.Malformed() }
    metadataCount += 1
    metadataBytes += key.count + value.count + 32
  }

  /// The entries, in order; names in lower case.
  public func metadata() -> RPCMetadata {
    guard metadataCount > 0 else { return RPCMetadata() }
    var text: [UInt8] = []
    text.reserveCapacity(metadataBytes)
    var ends: [(name: Int32, value: Int32)] = []
    ends.reserveCapacity(metadataCount)
    var reader = ProtobufReader(envelope)
    do {
      while let field = try reader.next() {
        guard field.number == 5, case .bytes(let bytes) = field.value else { continue }
        let (key, value) = try Self.entry(bytes)
        let isLower = key.allSatisfy { $0 < 0x80 && !(0x41...0x5A).contains($0) }
        if isLower { text += key } else { text += ReceivedMetadata.text(key).lowercased().utf8 }
        let middle = Int32(clamping: text.count)
        text += value
        ends.append((middle, Int32(clamping: text.count)))
      }
    } catch {
      // In range: `init` has read all of the envelope.
      preconditionFailure("the envelope was read before")
    }
    return text.withUnsafeBytes { RPCMetadata(ReceivedMetadata($0, ends: ends)) }
  }

  /// Lends the values of a name (lower case), in order, whatever the case that they came in.
  public func forEachValue(of name: StaticString, _ body: (UnsafeRawBufferPointer) -> Void) {
    guard metadataCount > 0 else { return }
    let wanted = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    var reader = ProtobufReader(envelope)
    do {
      while let field = try reader.next() {
        guard field.number == 5, case .bytes(let bytes) = field.value else { continue }
        let (key, value) = try Self.entry(bytes)
        let isWanted =
          key.count == wanted.count
          && zip(key, wanted).allSatisfy { found, letter in
            found == letter || (0x41...0x5A).contains(found) && found | 0x20 == letter
          }
        if isWanted { body(value) }
      }
    } catch {
      // In range: `init` has read all of the envelope.
      preconditionFailure("the envelope was read before")
    }
  }

  private static func entry(
    _ bytes: UnsafeRawBufferPointer
  ) throws(ProtobufReader.Malformed) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)
  {
    var key = UnsafeRawBufferPointer(start: nil, count: 0)
    var value = key
    var reader = ProtobufReader(bytes)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let bytes)): key = bytes
      case (2, .bytes(let bytes)): value = bytes
      default: break
      }
    }
    return (key, value)
  }

  /// proto3 strings are UTF-8: other bytes are refused, not repaired.
  public static func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.allSatisfy { $0 < 0x80 } || String(validating: bytes, as: UTF8.self) != nil
  }

  /// Appends a frame with a request to `output`.
  ///
  /// - Parameters:
  ///   - path: `/package.Service/Method`.
  ///   - payload: nil for a stream whose messages all follow.
  ///   - timeoutNanoseconds: nil: the client waits for ever.
  /// - Throws: RESOURCE_EXHAUSTED if it does not fit a frame.
  public static func write(
    to output: inout ByteStore, stream: UInt32, flags: TTRPCFlags, path: String,
    payload: UnsafeRawBufferPointer?, timeoutNanoseconds: Int64?, metadata: RPCMetadata
  ) throws(RPCStatus) {
    let (service, method) = split(path)
    var count = ProtobufSize.field(service.utf8.count) + ProtobufSize.field(method.utf8.count)
    if let payload { count += ProtobufSize.field(payload.count) }
    if let timeoutNanoseconds {
      count += 1 + ProtobufSize.varint(UInt64(bitPattern: timeoutNanoseconds))
    }
    for entry in metadata.entries { count += ProtobufSize.field(size(entry)) }
    guard count <= TTRPCFrameHeader.maximumPayload else {
      throw RPCStatus(
        .resourceExhausted, "the request is larger than \(TTRPCFrameHeader.maximumPayload) bytes")
    }
    let header = TTRPCFrameHeader(payloadCount: count, stream: stream, type: .request, flags: flags)
    var writer = ProtobufWriter(header.open(in: &output))
    writer.string(1, String(service))
    writer.string(2, String(method))
    if let payload { writer.bytes(3, payload) }
    if let timeoutNanoseconds { writer.number(4, UInt64(bitPattern: timeoutNanoseconds)) }
    for entry in metadata.entries {
      writer.open(5, count: size(entry))
      writer.string(1, entry.name)
      writer.string(2, entry.value)
    }
  }

  private static func size(_ entry: RPCMetadata.Entry) -> Int {
    ProtobufSize.field(entry.name.utf8.count) + ProtobufSize.field(entry.value.utf8.count)
  }

  private static let slash = UInt8(ascii: "/")

  /// The service and the method of a path.
  private static func split(_ path: String) -> (service: Substring, method: Substring) {
    // By bytes: a mark behind a slash makes one character with it.
    let bytes = path.utf8
    let names = path[bytes.index(bytes.startIndex, offsetBy: bytes.first == slash ? 1 : 0)...]
    guard let end = names.utf8.lastIndex(of: slash) else { return (names, "") }
    return (names[..<end], names[names.utf8.index(after: end)...])
  }
}
