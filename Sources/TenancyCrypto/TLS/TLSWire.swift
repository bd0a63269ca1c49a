internal import CTenancyOpenSSL
internal import NIOCore

/// The two directions of a TLS connection's ciphertext, as a `BIO` of our own. OpenSSL reads straight from
/// the bytes that were received, and writes straight into the buffer that is to be sent: between reads a
/// connection keeps neither. Confined to one event loop.
final class TLSWire {
  /// Most that is set aside for output before its size is known: a server's first flight fits.
  private static let outputReserve = 2048

  /// From the peer, and not read by OpenSSL yet.
  @exclusivity(unchecked) private var input: ByteBuffer?  // No access spans a call out.
  /// For the peer.
  @exclusivity(unchecked) private var output: ByteBuffer?

  var pendingInput: Int { input?.readableBytes ?? 0 }
  var hasOutput: Bool { output != nil }

  /// Lets OpenSSL read `bytes` after those that it has not read yet.
  func receive(_ bytes: ByteBuffer) {
    guard bytes.readableBytes > 0 else { return }
    guard input != nil else { return input = bytes }
    var rest = bytes
    input?.writeBuffer(&rest)
  }

  /// What OpenSSL has written since the last time; nil: nothing.
  func takeOutput() -> ByteBuffer? {
    defer { output = nil }
    return output
  }

  /// Sets aside room for `count` bytes of output.
  func reserveOutput(_ count: Int) {
    if output == nil {
      output = ByteBufferAllocator().buffer(capacity: count)
    } else {
      output?.reserveCapacity(minimumWritableBytes: count)
    }
  }

  // MARK: The BIO

  /// A `BIO` that reads and writes here, for as long as this lives. The caller frees it.
  func makeBIO() -> OpaquePointer? {
    guard let bio = BIO_new(Self.method) else { return nil }
    BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
    BIO_set_init(bio, 1)
    return bio
  }

  private static func of(_ bio: OpaquePointer?) -> TLSWire? {
    guard let bio, let data = BIO_get_data(bio) else { return nil }
    return Unmanaged<TLSWire>.fromOpaque(data).takeUnretainedValue()
  }

  private func read(into target: UnsafeMutableRawPointer, atMost limit: Int) -> Int {
    guard let buffer = input else { return 0 }
    let count = min(limit, buffer.readableBytes)
    buffer.withUnsafeReadableBytes { bytes in
      if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: count) }
    }
    // Given back at once when it is empty: NIO reads into it again.
    if count == buffer.readableBytes {
      input = nil
    } else {
      input?.moveReaderIndex(forwardBy: count)
    }
    return count
  }

  private func write(_ bytes: UnsafeRawBufferPointer) {
    if output == nil { reserveOutput(max(bytes.count, Self.outputReserve)) }
    output?.writeBytes(bytes)
  }

  /// A `BIO_METHOD`, made once, never freed.
  private static nonisolated(unsafe) let method: OpaquePointer? = {  // Never changed once made.
    let type = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK
    guard let method = BIO_meth_new(type, "tls wire") else { return nil }
    BIO_meth_set_read(method) { bio, target, limit in
      BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
      guard let wire = TLSWire.of(bio), let target, limit > 0 else { return -1 }
      let count = wire.read(into: target, atMost: Int(limit))
      guard count > 0 else {
        // Not the end: more may come.
        BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
        return -1
      }
      return Int32(count)
    }
    BIO_meth_set_write(method) { bio, source, count in
      guard let wire = TLSWire.of(bio), let source, count > 0 else { return -1 }
      wire.write(UnsafeRawBufferPointer(start: source, count: Int(count)))
      return count
    }
    BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
    return method
  }()
}
