internal import Tenancy
internal import TenancyCrypto

/// The formats of what is stored, so that others can verify and open it.
///
/// Numbers are big-endian, ids are the 16 bytes of their UUID form, texts are ASCII, ‖ puts together.
///
/// A sealed secret:
///
///     01 ‖ nonce (12) ‖ ciphertext (as long as the secret) ‖ tag (16)
///
/// AES-256-GCM under the data key, with a random nonce, and authenticated with it:
///
///     "tenancy.secret" ‖ 01 ‖ tenant id (16) ‖ data key id (16) ‖ version (8) ‖ purpose
///
/// A wrapped data key:
///
///     01 ‖ nonce (12) ‖ ciphertext (32) ‖ tag (16)
///
/// AES-256-GCM under the master key, likewise, and authenticated with it:
///
///     "tenancy.data-key" ‖ 01 ‖ data key id (16) ‖ master key id (16)
///
/// The purpose is the last and the only part whose length varies, so that no two places have the same bytes.
/// The leading 01 is the format's version. Random nonces are good for 2^32 messages under one key (NIST SP
/// 800-38D §8.3); a data key is to be replaced long before.
enum Formats {
  static let version: UInt8 = 1

  static func associatedData(
    of reference: SecretReference, at place: SecretPlace
  ) -> [UInt8] {
    Array("tenancy.secret".utf8) + [version] + bytes(place.tenant.high) + bytes(place.tenant.low)
      + bytes(reference.key) + bytes(reference.version) + Array(place.purpose.rawValue.utf8)
  }

  static func associatedData(ofDataKey id: KeyID, under master: KeyID) -> [UInt8] {
    Array("tenancy.data-key".utf8) + [version] + bytes(id) + bytes(master)
  }

  /// - Parameter nonce: only tests give one.
  static func seal(
    _ secret: [UInt8], at place: SecretPlace, version: UInt64, under key: DataKey,
    nonce: [UInt8]? = nil
  ) throws(SecretError) -> StoredSecret {
    let reference = SecretReference(version: version, key: key.id)
    let data = associatedData(of: reference, at: place)
    let message = try secret.read { (bytes) throws(SecretError) in
      try asSecretError { () throws(CryptoError) in
        try AES256GCM.encrypt(bytes, under: key.key, authenticating: data, nonce: nonce)
      }
    }
    return StoredSecret(
      reference: reference, sealed: SealedSecret(bytes: [Self.version] + message))
  }

  static func open(
    _ secret: StoredSecret, at place: SecretPlace, under key: DataKey
  ) throws(SecretError) -> ClearSecret {
    let message = try message(in: secret.sealed.bytes)
    let data = associatedData(of: secret.reference, at: place)
    var clear = [UInt8](repeating: 0, count: message.count - AES256GCM.overhead)
    // What is handed out is a copy.
    defer { clear.wipe() }
    try clear.write { (bytes) throws(SecretError) in
      try asSecretError { () throws(CryptoError) in
        try AES256GCM.decrypt(message, under: key.key, authenticating: data, into: bytes)
      }
    }
    return ClearSecret(bytes: clear.map(\.self))
  }

  static func wrap(
    _ key: DataKey, under master: MasterKey, nonce: [UInt8]? = nil
  ) throws(SecretError) -> [UInt8] {
    let data = associatedData(ofDataKey: key.id, under: master.id)
    let message = key.key.withBytes { bytes in
      Result { () throws(SecretError) in
        try asSecretError { () throws(CryptoError) in
          try AES256GCM.encrypt(bytes, under: master.key, authenticating: data, nonce: nonce)
        }
      }
    }
    return [version] + (try message.get())
  }

  static func unwrap(
    _ wrapped: [UInt8], id: KeyID, under master: MasterKey
  ) throws(SecretError) -> DataKey {
    let message = try message(in: wrapped)
    let data = associatedData(ofDataKey: id, under: master.id)
    let key = try KeyBytes { (bytes) throws(SecretError) in
      try asSecretError { () throws(CryptoError) in
        try AES256GCM.decrypt(message, under: master.key, authenticating: data, into: bytes)
      }
    }
    return DataKey(id: id, key: key)
  }

  private static func message(in bytes: [UInt8]) throws(SecretError) -> ArraySlice<UInt8> {
    guard bytes.first == version else {
      throw SecretError(.damaged, "its format is none that this program knows")
    }
    let message = bytes.dropFirst()
    guard message.count >= AES256GCM.overhead else {
      throw SecretError(.damaged, "it has not the length of what was sealed")
    }
    return message
  }

  private static func bytes(_ number: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) }
  }

  private static func bytes(_ id: KeyID) -> [UInt8] { bytes(id.high) + bytes(id.low) }
}

// The standard library's do not hand on a typed error.
extension [UInt8] {
  fileprivate func read<Result>(
    _ body: (UnsafeRawBufferPointer) throws(SecretError) -> Result
  ) throws(SecretError) -> Result {
    try withUnsafeBytes { bytes in
      Swift.Result { () throws(SecretError) in try body(bytes) }
    }.get()
  }

  fileprivate mutating func write(
    _ body: (UnsafeMutableRawBufferPointer) throws(SecretError) -> Void
  ) throws(SecretError) {
    try withUnsafeMutableBytes { bytes in
      Swift.Result { () throws(SecretError) in try body(bytes) }
    }.get()
  }
}

/// What sealing says, in the words of who keeps secrets.
func asSecretError<Value>(_ body: () throws(CryptoError) -> Value) throws(SecretError) -> Value {
  do throws(CryptoError) {
    return try body()
  } catch {
    switch error.code {
    case .damaged: throw SecretError(.damaged, error.description)
    case .key, .library: throw SecretError(.library, error.description)
    }
  }
}
