internal import CTenancyOpenSSL

/// Owns the 32 bytes of a key, outside of Swift's arrays so that there is one copy, which is wiped at the
/// end.
package final class KeyBytes: Sendable {
  package static let count = AES256GCM.keyBytes

  // Written during the initializer only, and freed by deinit.
  private nonisolated(unsafe) let storage: UnsafeMutableRawBufferPointer

  /// - Parameter fill: writes all bytes, or throws.
  package init<Failure>(
    _ fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    storage = .allocate(byteCount: Self.count, alignment: 16)
    storage.initializeMemory(as: UInt8.self, repeating: 0)
    // A throw from here on runs deinit: all properties are set.
    try fill(storage)
  }

  /// A random key, from the generator for what stays private.
  package static func random() throws(CryptoError) -> KeyBytes {
    try KeyBytes { (bytes) throws(CryptoError) in
      let start = bytes.assumingMemoryBound(to: UInt8.self).baseAddress
      guard RAND_priv_bytes(start, Int32(clamping: bytes.count)) == 1 else {
        throw .drainingQueue("there are no random numbers")
      }
    }
  }

  deinit {
    OPENSSL_cleanse(storage.baseAddress, storage.count)
    storage.deallocate()
  }

  package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    body(UnsafeRawBufferPointer(storage))
  }
}

extension [UInt8] {
  /// Overwrites the bytes, so that no optimiser takes that for useless: for what was secret.
  package mutating func wipe() { OPENSSL_cleanse(&self, count) }
}
