internal import CTenancyOpenSSL

/// The extension of workloads' certificates that names the registration entry by which they were issued, so that they
/// end with it: a UTF8String, the entry's id. Not critical: to others it says nothing.
enum RegistrationExtension {
  /// Under the arc of UUIDs (X.667), which needs no registration.
  private static let identifier = "2.25.142301311194918015955599287742072137667"
  /// The same as DER has it, without tag and length.
  private static let encodedIdentifier: [UInt8] = [
    0x69, 0x81, 0xD6, 0x8E, 0x9E, 0x94, 0xD3, 0xD1, 0xFA, 0xB2, 0x95, 0x8F, 0xAB, 0xCB, 0xE9, 0xD1,
    0xDF, 0x82, 0xCF, 0x43,
  ]
  /// Of a UTF8String of so many bytes, and the bytes of an id.
  private static let head: [UInt8] = [UInt8(V_ASN1_UTF8STRING), 36]
  private static let idLength = 36

  /// The entry that a certificate names; nil: none.
  /// - Returns: a failure where there is such an extension, and it can't be read.
  static func read(_ certificate: OpaquePointer) -> Result<String?, TLSError> {
    for index in 0..<max(0, X509_get_ext_count(certificate)) {
      let found = X509_get_ext(certificate, index)
      guard isOurs(X509_EXTENSION_get_object(found)) else { continue }
      guard let value = X509_EXTENSION_get_data(found),
        let start = ASN1_STRING_get0_data(value)
      else { return .failure(unreadable) }
      let bytes = UnsafeBufferPointer(start: start, count: Int(ASN1_STRING_length(value)))
      let id = bytes.dropFirst(head.count)
      guard bytes.starts(with: head), id.count == idLength,
        id.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
      else { return .failure(unreadable) }
      return .success(String(decoding: id, as: UTF8.self))
    }
    return .success(nil)
  }

  private static func isOurs(_ object: OpaquePointer?) -> Bool {
    guard OBJ_length(object) == encodedIdentifier.count, let data = OBJ_get0_data(object) else {
      return false
    }
    return UnsafeBufferPointer(start: data, count: encodedIdentifier.count)
      .elementsEqual(encodedIdentifier)
  }

  private static let unreadable = TLSError("it names a registration entry that can't be read")

  /// Adds it to a certificate that is not signed yet.
  /// - Parameter entry: 36 characters, as ids of entries have.
  static func add(_ entry: String, to certificate: Certificate) throws(PKIError) {
    let content = head + Array(entry.utf8)
    guard content.count == head.count + idLength else {
      throw PKIError(.invalidName, "not the id of a registration entry: \(entry)")
    }
    try add(content: content, to: certificate.pointer)
  }

  /// - Parameter content: DER.
  static func add(content: [UInt8], to certificate: OpaquePointer) throws(PKIError) {
    guard let object = OBJ_txt2obj(identifier, 1) else {
      throw .drainingQueue("cannot name an extension")
    }
    defer { ASN1_OBJECT_free(object) }
    guard let value = ASN1_STRING_type_new(V_ASN1_OCTET_STRING) else {
      throw .drainingQueue("cannot make an extension")
    }
    defer { ASN1_STRING_free(value) }
    guard ASN1_STRING_set(value, content, Int32(content.count)) == 1,
      let made = X509_EXTENSION_create_by_OBJ(nil, object, 0, value)
    else { throw .drainingQueue("cannot make an extension") }
    defer { X509_EXTENSION_free(made) }
    guard X509_add_ext(certificate, made, -1) == 1 else {
      throw .drainingQueue("cannot add an extension")
    }
  }
}
