internal import CTenancyOpenSSL

/// Owns a memory `BIO`: what OpenSSL reads PEM from and writes it to.
final class MemoryBuffer {
  let pointer: OpaquePointer

  /// An empty one, or one that holds `text`.
  init(_ text: String = "") throws(PKIError) {
    ERR_clear_error()
    guard let bio = BIO_new(BIO_s_mem()) else { throw .drainingQueue("cannot make a buffer") }
    pointer = bio
    let bytes = Array(text.utf8)
    guard bytes.isEmpty || BIO_write(bio, bytes, Int32(clamping: bytes.count)) == bytes.count else {
      throw .drainingQueue("cannot fill a buffer")
    }
  }

  deinit { BIO_free(pointer) }

  /// Takes what has been written.
  func text() -> String {
    var bytes = [UInt8](repeating: 0, count: BIO_ctrl_pending(pointer))
    let count = BIO_read(pointer, &bytes, Int32(clamping: bytes.count))
    return String(decoding: bytes.prefix(max(0, Int(count))), as: UTF8.self)
  }
}
