internal import CTenancyOpenSSL

/// Owns an `X509`. Never changed, so it may be used by several threads.
final class X509Object {
  let pointer: OpaquePointer

  init(_ pointer: OpaquePointer) { self.pointer = pointer }

  deinit { X509_free(pointer) }
}

/// Reads certificates, CRLs and keys. Each file is PEM and may hold several objects.
enum OpenSSLObjects {
  /// Most objects in one file.
  static let maximumObjects = 100_000

  /// The caller frees it.
  static func certificate(der: [UInt8]) -> OpaquePointer? {
    var certificate = emptyCertificate()
    return der.withUnsafeBufferPointer { bytes in
      var next = bytes.baseAddress
      guard d2i_X509(&certificate, &next, bytes.count) != nil else { return nil }
      return certificate
    }
  }

  /// The first of a text. The caller frees it.
  static func certificate(pem: String) -> OpaquePointer? {
    guard let buffer = try? MemoryBuffer(pem) else { return nil }  // Memory is all that it lacks.
    var certificate = emptyCertificate()
    guard PEM_read_bio_X509(buffer.pointer, &certificate, refusePassphrase, nil) != nil else {
      // Of what is no certificate OpenSSL has freed it and left nil.
      X509_free(certificate)
      ERR_clear_error()
      return nil
    }
    return certificate
  }

  /// All the certificates of a file; there is at least one.
  static func certificates(
    _ path: String, _ what: String = "certificate"
  ) throws(TLSError) -> [X509Object] {
    var found: [X509Object] = []
    try readAll(path, what) { file in
      var certificate = emptyCertificate()
      guard PEM_read_bio_X509(file, &certificate, refusePassphrase, nil) != nil,
        let read = certificate
      else {
        // Bytes that are no certificate free it and leave nil; the end of the file does not.
        X509_free(certificate)
        return false
      }
      found.append(X509Object(read))
      return true
    }
    return found
  }

  /// Adds the CRLs of a file to an `X509_STORE`. Returns when the first of them ends.
  static func addRevocations(_ path: String, to store: OpaquePointer) throws(TLSError) -> Int64 {
    var end = Int64.max
    var isUsable = true
    try readAll(path, "CRL") { file in
      guard let list = PEM_read_bio_X509_CRL(file, nil, refusePassphrase, nil) else { return false }
      defer { X509_CRL_free(list) }
      // Without an end it would be good for ever.
      guard let next = CertificateReader.seconds(X509_CRL_get0_nextUpdate(list)),
        X509_STORE_add_crl(store, list) == 1
      else {
        isUsable = false
        return true
      }
      end = min(end, next)
      return true
    }
    guard isUsable else {
      throw .drainingQueue("a CRL in \(path) can't be used or has no end", code: .configuration)
    }
    return end
  }

  /// The caller frees it.
  static func privateKey(_ path: String) throws(TLSError) -> OpaquePointer {
    let file = try open(path, "private key")
    defer { BIO_free(file) }
    guard let key = PEM_read_bio_PrivateKey(file, nil, refusePassphrase, nil) else {
      throw .drainingQueue("cannot use the private key \(path)", code: .configuration)
    }
    return key
  }

  // MARK: Files

  private static func emptyCertificate() -> OpaquePointer? {
    X509_new_ex(LeanLibrary.context, nil)
  }

  /// There is nobody to ask.
  private static let refusePassphrase:
    @convention(c) (UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?) -> Int32 =
      {
        _, _, _, _ in -1
      }

  private static func open(_ path: String, _ what: String) throws(TLSError) -> OpaquePointer {
    ERR_clear_error()
    // It opens, and then reads as an empty file.
    guard !FileStamp.isDirectory(path) else {
      throw TLSError("cannot use the \(what) \(path): it is a directory", code: .configuration)
    }
    guard let file = BIO_new_file(path, "r") else {
      throw .drainingQueue("cannot use the \(what) \(path)", code: .configuration)
    }
    return file
  }

  /// Calls `next` until the file is at its end; `next` returns whether it has read an object.
  private static func readAll(
    _ path: String, _ what: String, _ next: (OpaquePointer) -> Bool
  ) throws(TLSError) {
    let file = try open(path, what)
    defer { BIO_free(file) }
    var count = 0
    while next(file) {
      count += 1
      guard count <= maximumObjects else {
        throw TLSError("more than \(maximumObjects) objects in \(path)", code: .configuration)
      }
    }
    let last = ERR_peek_last_error()
    // As the macros ERR_GET_LIB and ERR_GET_REASON do.
    let isEnd =
      last >> UInt(ERR_LIB_OFFSET) & UInt(ERR_LIB_MASK) == UInt(ERR_LIB_PEM)
      && last & UInt(ERR_REASON_MASK) == UInt(PEM_R_NO_START_LINE)
    guard isEnd, count > 0 else {
      throw .drainingQueue("cannot use the \(what) \(path)", code: .configuration)
    }
    ERR_clear_error()
  }
}
