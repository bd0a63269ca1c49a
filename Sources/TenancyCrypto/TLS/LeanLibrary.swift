internal import CTenancyOpenSSL

/// OpenSSL's default provider with fewer algorithms: those that TLS as we restrict it can use.
///
/// OpenSSL 3.0 decodes the public key of each certificate anew, and for that walks through all decoders
/// and all algorithms of the library context that it has ever looked for, at a cost that grows with their
/// number. With the others out of sight a handshake costs a fifth less. What is left is the default
/// provider's own code: only its tables are shortened.
enum LeanLibrary {
  /// An `OSSL_LIB_CTX` for the life of the process; nil, OpenSSL's own, when it can't be made.
  static var context: OpaquePointer? { library.pointer }

  private static let library = Library(pointer: make())

  private struct Library: @unchecked Sendable {  // OpenSSL locks it.
    let pointer: OpaquePointer?
  }

  /// What is kept, by operation; all of an operation that is not here. The names are those that OpenSSL
  /// has first.
  private static let kept: [Int32: Set<String>] = [
    OSSL_OP_KEYMGMT: [
      "EC", "RSA", "RSA-PSS", "ED25519", "ED448", "X25519", "HMAC",
    ],
    OSSL_OP_DECODER: ["EC", "RSA", "RSA-PSS", "ED25519", "ED448"],
    OSSL_OP_SIGNATURE: ["ECDSA", "RSA", "ED25519", "ED448", "HMAC"],
    OSSL_OP_KEYEXCH: ["ECDH", "X25519"],
    OSSL_OP_KDF: ["HKDF", "TLS13-KDF", "TLS1-PRF"],
    OSSL_OP_MAC: ["HMAC"],
    // SHA-1 for looking up names only: the security level forbids it in signatures.
    OSSL_OP_DIGEST: ["SHA1", "SHA2-256", "SHA2-384", "SHA2-512"],
    OSSL_OP_CIPHER: [
      "AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-128-CTR", "AES-192-CTR",
      "AES-256-CTR",
    ],
  ]

  /// The default provider of OpenSSL's own context, and its shortened tables. Made once, never freed:
  /// OpenSSL keeps pointers into the tables.
  private struct Source: @unchecked Sendable {  // Nothing of it is ever changed.
    let provider: OpaquePointer
    let tables: [Int32: UnsafePointer<OSSL_ALGORITHM>]
  }

  private static let source: Source? = {
    guard let provider = OSSL_PROVIDER_load(nil, "default") else { return nil }
    var tables: [Int32: UnsafePointer<OSSL_ALGORITHM>] = [:]
    for (operation, names) in kept {
      let table = shortened(provider, operation) { name, properties in
        // Of public keys alone: private keys are read in OpenSSL's own context.
        names.contains(name)
          && (operation != OSSL_OP_DECODER || properties.contains("structure=SubjectPublicKeyInfo"))
      }
      guard let table else { return nil }
      tables[operation] = table
    }
    return Source(provider: provider, tables: tables)
  }()

  /// A copy of one of the provider's tables with the rows that are wanted; nil if that is none.
  private static func shortened(
    _ provider: OpaquePointer, _ operation: Int32, where wanted: (String, String) -> Bool
  ) -> UnsafePointer<OSSL_ALGORITHM>? {
    var mayChange: Int32 = 0
    guard
      var row = OSSL_PROVIDER_query_operation(provider, operation, &mayChange), mayChange == 0
    else { return nil }
    var rows: [OSSL_ALGORITHM] = []
    while let names = row.pointee.algorithm_names, let properties = row.pointee.property_definition
    {
      // The first of the names, which colons separate, is the usual one.
      let name = String(cString: names).prefix { $0 != ":" }
      if wanted(String(name), String(cString: properties)) { rows.append(row.pointee) }
      row += 1
    }
    guard !rows.isEmpty else { return nil }
    rows.append(OSSL_ALGORITHM())  // The end.
    let table = UnsafeMutableBufferPointer<OSSL_ALGORITHM>.allocate(capacity: rows.count)
    _ = table.initialize(from: rows)
    return table.baseAddress.map { UnsafePointer($0) }
  }

  // MARK: The provider (provider-base(7))

  private typealias Query =
    @convention(c) (
      UnsafeMutableRawPointer?, Int32, UnsafeMutablePointer<Int32>?
    ) -> UnsafePointer<OSSL_ALGORITHM>?

  private typealias Capabilities =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafePointer<CChar>?,
      (@convention(c) (UnsafePointer<OSSL_PARAM>?, UnsafeMutableRawPointer?) -> Int32)?,
      UnsafeMutableRawPointer?
    ) -> Int32

  private static let query: Query = { _, operation, mayChange in
    guard let source else { return nil }
    guard let table = source.tables[operation] else {
      return OSSL_PROVIDER_query_operation(source.provider, operation, mayChange)
    }
    mayChange?.pointee = 0
    return table
  }

  /// The key-exchange groups of TLS.
  private static let capabilities: Capabilities = { _, name, callback, argument in
    guard let source else { return 0 }
    return OSSL_PROVIDER_get_capabilities(source.provider, name, callback, argument)
  }

  /// What the provider can do, for OpenSSL to keep.
  private struct Dispatch: @unchecked Sendable {  // Written once, then only read.
    let table: UnsafePointer<OSSL_DISPATCH>
  }

  private static let dispatch: Dispatch = {
    typealias Function = @convention(c) () -> Void  // OpenSSL casts back by the function's id.
    let table = UnsafeMutablePointer<OSSL_DISPATCH>.allocate(capacity: 3)
    table.initialize(
      to: OSSL_DISPATCH(
        function_id: OSSL_FUNC_PROVIDER_QUERY_OPERATION,
        function: unsafeBitCast(query, to: Function.self)))
    (table + 1).initialize(
      to: OSSL_DISPATCH(
        function_id: OSSL_FUNC_PROVIDER_GET_CAPABILITIES,
        function: unsafeBitCast(capabilities, to: Function.self)))
    (table + 2).initialize(to: OSSL_DISPATCH())
    return Dispatch(table: UnsafePointer(table))
  }()

  private static func make() -> OpaquePointer? {
    defer { ERR_clear_error() }
    guard source != nil, let library = OSSL_LIB_CTX_new() else { return nil }
    let added = OSSL_PROVIDER_add_builtin(library, "lean") { _, _, dispatchOut, contextOut in
      guard let source = LeanLibrary.source else { return 0 }
      dispatchOut?.pointee = LeanLibrary.dispatch.table
      contextOut?.pointee = OSSL_PROVIDER_get0_provider_ctx(source.provider)
      return 1
    }
    guard added == 1, OSSL_PROVIDER_load(library, "lean") != nil else {
      OSSL_LIB_CTX_free(library)
      return nil
    }
    return library
  }
}
