internal import CTenancyOpenSSL

/// Comparisons that take the same time wherever the difference is.
package enum ConstantTime {
  /// Whether both have the same bytes. The lengths are no secret.
  package static func areEqual(_ first: [UInt8], _ second: [UInt8]) -> Bool {
    first.count == second.count && CRYPTO_memcmp(first, second, first.count) == 0
  }
}
