import CTenancyOpenSSL
import Foundation
import TenancyTestSupport

@testable import TenancyCrypto

/// Certificates of all kinds, good and bad, made as a test needs them. In a directory of its own.
final class TestPKI {
  struct Failure: Error {}

  /// What a certificate says.
  struct Recipe {
    enum Key { case ecdsa, rsa(Int32) }

    var key = Key.ecdsa
    var commonName = "leaf"
    /// In the notation of x509v3_config(5); names of extensions as OpenSSL has them.
    var extensions: [(id: Int32, value: String)] = []
    /// Names of subjectAltName, as they are.
    var uris: [[UInt8]] = []
    var dnsNames: [String] = []
    var addresses: [[UInt8]] = []
    /// Extensions of an unknown kind, each once.
    var unknownExtensions = 0
    /// What the extension that names a registration entry holds, in DER; nil: there is none.
    var registration: [UInt8]?
    /// Seconds from now.
    var notBefore = -60
    var notAfter = 86_400

    static func authority(_ name: String, pathLength: Int? = nil) -> Recipe {
      let length = pathLength.map { ",pathlen:\($0)" } ?? ""
      return Recipe(
        commonName: name,
        extensions: [
          (NID_basic_constraints, "critical,CA:TRUE\(length)"),
          (NID_key_usage, "critical,keyCertSign,cRLSign"),
        ])
    }

    static func client(_ uri: String = "spiffe://example.org/a") -> Recipe {
      Recipe(
        extensions: [
          (NID_basic_constraints, "critical,CA:FALSE"),
          (NID_key_usage, "critical,digitalSignature"), (NID_ext_key_usage, "clientAuth"),
        ], uris: [Array(uri.utf8)])
    }

    static let server = Recipe(
      extensions: [
        (NID_basic_constraints, "critical,CA:FALSE"),
        (NID_key_usage, "critical,digitalSignature"), (NID_ext_key_usage, "serverAuth"),
      ], dnsNames: ["localhost"], addresses: [[127, 0, 0, 1]])

    func with(_ change: (inout Recipe) -> Void) -> Recipe {
      var copy = self
      change(&copy)
      return copy
    }
  }

  /// A certificate with its key.
  final class Issued {
    let certificate: OpaquePointer
    let key: OpaquePointer
    /// Of those who issued it, up to but without the root.
    let intermediates: [Issued]

    fileprivate init(_ certificate: OpaquePointer, _ key: OpaquePointer, _ intermediates: [Issued])
    {
      self.certificate = certificate
      self.key = key
      self.intermediates = intermediates
    }

    deinit {
      X509_free(certificate)
      EVP_PKEY_free(key)
    }
  }

  let directory: String
  let root: Issued

  init() throws {
    directory = freePath()
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    root = try Self.issue(.authority("root"), by: nil)
    try writeAuthorities([root], "ca.pem")
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }  // Litter at worst.

  func path(_ name: String) -> String { "\(directory)/\(name)" }

  // MARK: Issuing

  func issue(_ recipe: Recipe, by issuer: Issued? = nil) throws -> Issued {
    try Self.issue(recipe, by: issuer ?? root)
  }

  static func issue(_ recipe: Recipe, by issuer: Issued?) throws -> Issued {
    guard let certificate = X509_new(), let key = makeKey(recipe.key) else { throw Failure() }
    let signer = issuer ?? Issued(certificate, key, [])
    defer {
      if issuer == nil {
        X509_up_ref(certificate)
        EVP_PKEY_up_ref(key)
      }
    }
    let name = Array(recipe.commonName.utf8)
    let serial = (0..<8).map { _ in UInt8.random(in: 1...0x7F) }
    guard X509_set_version(certificate, 2) == 1,
      ASN1_STRING_set(X509_get_serialNumber(certificate), serial, 8) == 1,
      X509_time_adj_ex(X509_getm_notBefore(certificate), 0, recipe.notBefore, nil) != nil,
      X509_time_adj_ex(X509_getm_notAfter(certificate), 0, recipe.notAfter, nil) != nil,
      X509_NAME_add_entry_by_txt(
        X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, name, Int32(name.count), -1, 0)
        == 1,
      X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate)) == 1,
      X509_set_pubkey(certificate, key) == 1
    else { throw Failure() }
    for (id, value) in recipe.extensions {
      var context = X509V3_CTX()
      X509V3_set_ctx(&context, signer.certificate, certificate, nil, nil, 0)
      let made = X509V3_EXT_nconf_nid(nil, &context, id, value)
      guard made != nil, X509_add_ext(certificate, made, -1) == 1 else { throw Failure() }
      X509_EXTENSION_free(made)
    }
    try addNames(recipe, to: certificate)
    for _ in 0..<recipe.unknownExtensions { try addUnknownExtension(to: certificate) }
    if let content = recipe.registration {
      try RegistrationExtension.add(content: content, to: certificate)
    }
    guard X509_sign(certificate, signer.key, EVP_sha256()) > 0 else { throw Failure() }
    let isRoot =
      issuer.map {
        X509_NAME_cmp(
          X509_get_subject_name($0.certificate), X509_get_issuer_name($0.certificate)) == 0
      } ?? true
    let above = issuer.map { isRoot ? [] : [$0] + $0.intermediates } ?? []
    return Issued(certificate, key, above)
  }

  private static func makeKey(_ kind: Recipe.Key) -> OpaquePointer? {
    var key: OpaquePointer?
    let context =
      switch kind {
      case .ecdsa: EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil)
      case .rsa: EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, nil)
      }
    defer { EVP_PKEY_CTX_free(context) }
    EVP_PKEY_keygen_init(context)
    switch kind {
    case .ecdsa: EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1)
    case .rsa(let bits): EVP_PKEY_CTX_set_rsa_keygen_bits(context, bits)
    }
    EVP_PKEY_generate(context, &key)
    return key
  }

  /// From bytes, so that a name may hold anything.
  private static func addNames(_ recipe: Recipe, to certificate: OpaquePointer) throws {
    let names =
      recipe.uris.map { (GEN_URI, V_ASN1_IA5STRING, $0) }
      + recipe.dnsNames.map { (GEN_DNS, V_ASN1_IA5STRING, Array($0.utf8)) }
      + recipe.addresses.map { (GEN_IPADD, V_ASN1_OCTET_STRING, $0) }
    guard !names.isEmpty else { return }
    let list = OPENSSL_sk_new_null()
    defer { GENERAL_NAMES_free(list) }
    for (kind, type, bytes) in names {
      guard let made = GENERAL_NAME_new(), let text = ASN1_STRING_type_new(type) else {
        throw Failure()
      }
      GENERAL_NAME_set0_value(made, kind, text)
      ASN1_STRING_set(text, bytes, Int32(bytes.count))
      OPENSSL_sk_push(list, made)
    }
    guard
      X509_add1_ext_i2d(certificate, NID_subject_alt_name, UnsafeMutableRawPointer(list), 0, 0) == 1
    else { throw Failure() }
  }

  private static func addUnknownExtension(to certificate: OpaquePointer) throws {
    let id = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1)
    let value = ASN1_OCTET_STRING_new()
    defer {
      ASN1_OBJECT_free(id)
      ASN1_OCTET_STRING_free(value)
    }
    ASN1_OCTET_STRING_set(value, [5, 0], 2)
    let made = X509_EXTENSION_create_by_OBJ(nil, id, 0, value)
    defer { X509_EXTENSION_free(made) }
    guard X509_add_ext(certificate, made, -1) == 1 else { throw Failure() }
  }

  // MARK: Files

  func writeAuthorities(_ authorities: [Issued], _ name: String) throws {
    try write(name) { file in
      for authority in authorities { PEM_write_bio_X509(file, authority.certificate) }
    }
  }

  /// The chain and the key, and who vouches for the other side.
  @discardableResult
  func save(
    _ issued: Issued, _ name: String, trusting authorities: String = "ca.pem"
  ) throws -> TLSContext.Configuration {
    try write("\(name).pem") { file in
      for one in [issued] + issued.intermediates { PEM_write_bio_X509(file, one.certificate) }
    }
    try write("\(name).key") { file in
      PEM_write_bio_PrivateKey(file, issued.key, nil, nil, 0, nil, nil)
    }
    return TLSContext.Configuration(
      certificateChain: path("\(name).pem"), privateKey: path("\(name).key"),
      trust: .authorities(path(authorities)))
  }

  /// A CRL of `issuer`.
  func writeRevocations(
    _ revoked: [Issued], by issuer: Issued? = nil, _ name: String, nextUpdate: Int = 86_400
  ) throws {
    let issuer = issuer ?? root
    let list = X509_CRL_new()
    let time = ASN1_TIME_new()
    defer {
      X509_CRL_free(list)
      ASN1_TIME_free(time)
    }
    X509_CRL_set_version(list, 1)
    X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer.certificate))
    X509_time_adj_ex(time, 0, min(-60, nextUpdate - 60), nil)
    X509_CRL_set1_lastUpdate(list, time)
    for one in revoked {
      let entry = X509_REVOKED_new()
      X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(one.certificate))
      X509_REVOKED_set_revocationDate(entry, time)
      X509_CRL_add0_revoked(list, entry)
    }
    X509_time_adj_ex(time, 0, nextUpdate, nil)
    X509_CRL_set1_nextUpdate(list, time)
    guard X509_CRL_sign(list, issuer.key, EVP_sha256()) > 0 else { throw Failure() }
    try write(name) { PEM_write_bio_X509_CRL($0, list) }
  }

  /// In one step, as those who know how to replace files do.
  private func write(_ name: String, _ body: (OpaquePointer) -> Void) throws {
    guard let file = BIO_new_file(path(name + ".new"), "w") else { throw Failure() }
    body(file)
    BIO_free(file)
    guard rename(path(name + ".new"), path(name)) == 0 else { throw Failure() }
  }
}
