internal import Tenancy

/// Seconds since 1970 as tokens have them (RFC 7519 §2): a JSON number, which may have a fraction.
enum NumericDate {
  /// What is beyond nanoseconds is cut off.
  /// - Returns: nil for what is negative, or beyond 2262.
  static func timestamp(_ number: String) -> Timestamp? {
    // As nearly all are: whole seconds, written as such.
    if let seconds = Int64(number), number.utf8.first != UInt8(ascii: "-") {
      let (nanoseconds, isTooLarge) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
      return isTooLarge ? nil : Timestamp(nanoseconds: nanoseconds)
    }
    guard let (digits, point) = decimal(number) else { return nil }
    /// Of whole seconds, as many digits as the largest `Timestamp` has, and no more.
    guard point <= 10 else { return nil }
    var nanoseconds: Int64 = 0
    for at in 0..<(10 + 9) {
      let index = at - 10 + point
      let digit = digits.indices.contains(index) ? Int64(digits[index]) : 0
      let (product, isTooLarge) = nanoseconds.multipliedReportingOverflow(by: 10)
      let (sum, isBeyond) = product.addingReportingOverflow(digit)
      guard !isTooLarge, !isBeyond else { return nil }
      nanoseconds = sum
    }
    return Timestamp(nanoseconds: nanoseconds)
  }

  /// The digits from the first that is not zero, and how many of them are before the point: negative if
  /// zeros are behind it first. Nil for negative numbers.
  private static func decimal(_ number: String) -> (digits: [UInt8], point: Int)? {
    let parts = number.utf8.split(maxSplits: 1, omittingEmptySubsequences: false) {
      $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E")
    }
    let mantissa = parts[0].split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard let whole = mantissa.first, whole.first != UInt8(ascii: "-") else { return nil }
    var exponent = 0
    if parts.count > 1 {
      // `Int` takes a plus sign as well. An exponent that it can't hold is out of range.
      guard let value = Int(String(decoding: parts[1], as: UTF8.self)),
        (-64...64).contains(value)
      else { return nil }
      exponent = value
    }
    let digits = mantissa.flatMap { $0 }.map { $0 & 15 }
    let zeros = digits.prefix { $0 == 0 }.count
    if zeros == digits.count { return ([], 0) }
    return (Array(digits.dropFirst(zeros)), whole.count - zeros + exponent)
  }

  /// Without trailing zeros behind the point.
  static func number(_ moment: Timestamp) -> String {
    let fraction = String(moment.subsecondNanoseconds)
    guard moment.subsecondNanoseconds > 0 else { return String(moment.seconds) }
    var digits = String(repeating: "0", count: 9 - fraction.utf8.count) + fraction
    while digits.utf8.last == UInt8(ascii: "0") { digits.removeLast() }
    return "\(moment.seconds).\(digits)"
  }
}
