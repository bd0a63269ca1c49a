internal import TenancyRPCCore
internal import TenancyRPCFraming

/// Opens the messages of a streaming call's request for its handler: what is packed is unpacked when it is
/// its turn, and what is large counts for as long as the handler has it. Thread-safe.
struct RequestIntake: Sendable {
  /// A message for the handler.
  struct Opened {
    let message: ReceivedMessage
    /// Held for as long as the handler has the message.
    var grip: MemoryGrip?
  }

  let memory: ConnectionMemory
  /// Told when the memory of a message is needed that a handler has.
  let mailbox: ConnectionMailbox
  let key: StreamKey

  /// - Throws: what the call ends with.
  func open(_ framed: FramedMessage) throws(RPCStatus) -> Opened {
    guard framed.isPacked else {
      return Opened(
        message: ReceivedMessage(bytes: framed.bytes), grip: try grip(framed.bytes.count))
    }
    let opened = framed.bytes.withUnsafeBytes { packed in
      Result { () throws(RPCStatus) in try unpack(packed) }
    }
    return try opened.get()
  }

  private func unpack(_ packed: UnsafeRawBufferPointer) throws(RPCStatus) -> Opened {
    let size = try MessageReader.unpackedSize(packed, limit: memory.maximumMessageBytes)
    let grip = try grip(size)
    var failure: RPCStatus?
    let bytes = [UInt8](unsafeUninitializedCapacity: size + 1) { buffer, count in
      let target = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: size + 1)
      do throws(RPCStatus) {
        try memory.meter.unpack(packed, size, into: target)
        count = size
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return Opened(message: ReceivedMessage(bytes: bytes, wasCompressed: true), grip: grip)
  }

  /// nil for a message that is not worth it.
  func grip(_ bytes: Int) throws(RPCStatus) -> MemoryGrip? {
    guard bytes > MemoryBudget.allowance else { return nil }
    let grip = MemoryGrip(memory.server.requests, bytes, peer: memory.peer) { [mailbox, key] in
      mailbox.post(unaffordable: key)
    }
    guard let grip else { throw memory.noRoom }
    return grip
  }
}
