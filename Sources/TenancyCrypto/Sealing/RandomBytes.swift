internal import CTenancyOpenSSL

/// Random bytes that nobody can guess.
package enum RandomBytes {
  /// - Throws: `.library` when the system has no randomness to give.
  package static func make(_ count: Int) throws(CryptoError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    guard RAND_bytes(&bytes, Int32(clamping: count)) == 1 else {
      throw .drainingQueue("there are no random numbers")
    }
    return bytes
  }
}
