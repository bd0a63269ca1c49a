internal import CTenancyOpenSSL

/// What OpenSSL has said of a failure: the error queue of this thread, oldest first.
struct OpenSSLErrors {
  /// As `ERR_get_error` packs them.
  private(set) var codes: [UInt] = []
  /// In OpenSSL's words.
  private(set) var texts: [String] = []

  /// Takes the queue of this thread, and leaves it empty.
  static func drain() -> OpenSSLErrors {
    var errors = OpenSSLErrors()
    while true {
      let code = ERR_get_error()
      if code == 0 { return errors }
      var text = [CChar](repeating: 0, count: 256)
      ERR_error_string_n(code, &text, text.count)
      let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      errors.codes.append(code)
      errors.texts.append(String(decoding: bytes, as: UTF8.self))
    }
  }

  /// `what`, and behind it what was said.
  func describing(_ what: String) -> String { ([what] + texts).joined(separator: ": ") }
}
