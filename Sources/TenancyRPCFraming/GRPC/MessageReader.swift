public import TenancyLoop
public import TenancyRPCCore

/// How the messages of one direction of a call may be packed (`grpc-encoding`).
public enum MessageEncoding: Sendable {
  case identity
  case gzip

  /// nil: one that we do not know.
  public init?(_ name: UnsafeRawBufferPointer) {
    if equals(name, "identity") {
      self = .identity
    } else if equals(name, "gzip") {
      self = .gzip
    } else {
      return nil
    }
  }
}

/// A message as it came in.
public struct ReceivedMessage: Sendable, Hashable {
  /// Unpacked.
  public let bytes: [UInt8]
  /// Whether the peer had packed it.
  public let wasCompressed: Bool

  /// - Parameter bytes: one message, unpacked, without its prefix.
  public init(bytes: [UInt8], wasCompressed: Bool = false) {
    self.bytes = bytes
    self.wasCompressed = wasCompressed
  }
}

/// A message of a request as it was sent.
public struct FramedMessage: Sendable, Hashable {
  public let bytes: [UInt8]
  public var isPacked: Bool

  public init(bytes: [UInt8], isPacked: Bool = false) {
    self.bytes = bytes
    self.isPacked = isPacked
  }
}

/// Cuts a direction of a gRPC call into messages: "Length-Prefixed-Message" of the gRPC-over-HTTP/2
/// protocol document. Bytes in, messages out, however they are split.
public struct MessageReader: ~Copyable {
  /// One byte of flags and the length, big-endian.
  public static var prefixLength: Int { 5 }

  /// Most bytes of a message, packed and unpacked.
  public let limit: Int
  public var encoding = MessageEncoding.identity
  /// The beginning of a message whose rest is not here yet.
  @usableFromInline var partial = ByteStore(capacity: 16)

  public init(limit: Int) { self.limit = limit }

  /// Bytes held for a message that is not whole.
  public var partialBytes: Int { partial.count }

  public mutating func clear() {
    encoding = .identity
    partial.clear()
  }

  /// Takes all of `bytes`; `deliver` is called for each message that is whole now.
  ///
  /// - Throws: what the call ends with. Nothing may be fed after that.
  public mutating func feed(
    _ bytes: UnsafeRawBufferPointer, _ deliver: (FramedMessage) -> Void
  ) throws(RPCStatus) {
    try cut(bytes) { framed throws(RPCStatus) in
      deliver(FramedMessage(bytes: Array(framed[Self.prefixLength...]), isPacked: framed[0] == 1))
    }
  }

  /// As `feed`; `deliver` gets the message with its prefix, valid during the call.
  public mutating func cut(
    _ bytes: UnsafeRawBufferPointer,
    _ deliver: (UnsafeRawBufferPointer) throws(RPCStatus) -> Void
  ) throws(RPCStatus) {
    var rest = bytes
    if partial.count > 0 {
      try fill(toPrefix: &rest)
      guard partial.count >= Self.prefixLength else { return }
      let whole = Self.prefixLength + (try length(partial.bytes))
      take(whole - partial.count, from: &rest)
      guard partial.count == whole else { return }
      try deliver(partial.bytes)
      partial.clear()
    }
    while rest.count >= Self.prefixLength {
      let whole = Self.prefixLength + (try length(rest))
      guard rest.count >= whole else { break }
      try deliver(UnsafeRawBufferPointer(rebasing: rest[..<whole]))
      rest = UnsafeRawBufferPointer(rebasing: rest[whole...])
    }
    take(rest.count, from: &rest)
  }

  /// The call's direction has ended: nothing may be left over.
  @inlinable
  public func finish() throws(RPCStatus) {
    if partial.count > 0 {
      throw RPCStatus(.internalError, "the last message is cut short")
    }
  }

  private mutating func fill(toPrefix rest: inout UnsafeRawBufferPointer) throws(RPCStatus) {
    if partial.count < Self.prefixLength { take(Self.prefixLength - partial.count, from: &rest) }
  }

  private mutating func take(_ wanted: Int, from rest: inout UnsafeRawBufferPointer) {
    let count = min(wanted, rest.count)
    guard count > 0, let base = rest.baseAddress else { return }
    partial.append(base, count: count)
    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
  }

  /// The length in a message's prefix, once it is known to be acceptable.
  private func length(_ bytes: UnsafeRawBufferPointer) throws(RPCStatus) -> Int {
    guard bytes[0] <= 1 else { throw RPCStatus(.internalError, "unknown message flags") }
    if bytes[0] == 1, encoding == .identity {
      throw RPCStatus(.internalError, "compressed message without grpc-encoding")
    }
    let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
    guard length <= limit else { throw Self.tooLarge(limit) }
    return length
  }

  /// Unpacks a gzip message of our own choice: of a server that was called.
  public static func unpack(_ body: UnsafeRawBufferPointer, limit: Int) throws(RPCStatus)
    -> [UInt8]
  {
    do {
      return try Gzip.decompress(body, limit: limit)
    } catch {
      throw status(error, limit: limit)
    }
  }

  /// What a gzip message unpacks to.
  public static func unpackedSize(
    _ body: UnsafeRawBufferPointer, limit: Int
  ) throws(RPCStatus) -> Int {
    do {
      return try Gzip.size(of: body, limit: limit)
    } catch {
      throw status(error, limit: limit)
    }
  }

  public static func status(_ failure: Gzip.Failure, limit: Int) -> RPCStatus {
    switch failure {
    case .malformed: RPCStatus(.internalError, "the message is not whole gzip data")
    case .tooLarge: tooLarge(limit)
    case .refused: RPCStatus(.resourceExhausted, "the message takes too much work to unpack")
    }
  }

  public static func tooLarge(_ limit: Int) -> RPCStatus {
    RPCStatus(.resourceExhausted, "the message is larger than \(limit) bytes")
  }
}
