import FoundationEssentials
import Glibc
import Logging
import Tenancy
import TenancySecrets
import TenancyStore

/// The `secrets` section of the configuration: where master keys are.
struct SecretSettings: Sendable {
  /// Where one master key is.
  enum Source: Sendable {
    case file(String)
    /// A variable of this name.
    case environment(String)
    /// One that systemd passes on (`LoadCredential=` and `LoadCredentialEncrypted=`).
    case credential(String)
  }

  var masterKey: Source
  var previousMasterKeys: [Source] = []

  init(masterKey: Source) { self.masterKey = masterKey }

  init(_ settings: inout SettingsReader) throws {
    let master = try settings.section("master_key") { try Self.source(&$0) }
    guard let master else { throw settings.error("master_key is required") }
    masterKey = master
    previousMasterKeys = try settings.list("previous_master_keys") { try Self.source(&$0) }
  }

  private static func source(_ settings: inout SettingsReader) throws -> Source {
    let file = try settings.optionalString("file").map(Source.file)
    let variable = try settings.optionalString("environment").map(Source.environment)
    let credential = try settings.optionalString("credential").map { name in
      guard !name.contains("/"), name != ".", name != ".." else {
        throw settings.error("credential: a name, not a path")
      }
      return Source.credential(name)
    }
    let given = [file, variable, credential].compactMap(\.self)
    guard let source = given.first, given.count == 1 else {
      throw settings.error("give one of file, environment and credential")
    }
    return source
  }

  /// Reads all keys as they are now.
  /// - Throws: `ConfigurationError`, which says what is wrong with which and never quotes it.
  func read() throws -> (master: MasterKey, previous: [MasterKey]) {
    (try masterKey.read(), try previousMasterKeys.map { try $0.read() })
  }
}

extension SecretSettings.Source: CustomStringConvertible {
  var description: String {
    switch self {
    case .file(let path): path
    case .environment(let name): "the variable \(name)"
    case .credential(let name): "the credential \(name)"
    }
  }

  /// - Throws: `ConfigurationError`.
  fileprivate func read() throws -> MasterKey {
    switch self {
    case .file(let path):
      return try Self.read(path, self)
    case .environment(let name):
      guard let text = unsafe getenv(name) else { throw error("it is not set") }
      return try unsafe parse(UnsafeRawBufferPointer(start: text, count: strlen(text)))
    case .credential(let name):
      guard let directory = unsafe getenv("CREDENTIALS_DIRECTORY") else {
        throw error("CREDENTIALS_DIRECTORY is not set, as systemd does for a unit with credentials")
      }
      return try Self.read(unsafe "\(String(cString: directory))/\(name)", self)
    }
  }

  /// More than a key in any form has.
  private static let maximumBytes = 128

  private static func read(_ path: String, _ source: Self) throws -> MasterKey {
    try OwnFiles.checkSecret(path, "key")
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unsafe source.error(String(cString: strerror(errno))) }
    defer { close(descriptor) }
    return try unsafe withUnsafeTemporaryAllocation(byteCount: maximumBytes, alignment: 1) {
      buffer in
      defer { if let start = buffer.baseAddress { unsafe explicit_bzero(start, buffer.count) } }
      var count = 0
      while count < buffer.count {
        let got = unsafe Glibc.read(
          descriptor, buffer.baseAddress?.advanced(by: count), buffer.count - count)
        guard got >= 0 else { throw unsafe source.error(String(cString: strerror(errno))) }
        if got == 0 { break }
        count += got
      }
      return try unsafe source.parse(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }
  }

  private func parse(_ text: UnsafeRawBufferPointer) throws -> MasterKey {
    do {
      return try unsafe MasterKey(parsing: text)
    } catch {
      throw self.error("\(error)")
    }
  }

  private func error(_ what: String) -> ConfigurationError {
    ConfigurationError(description: "the master key of \(self): \(what)")
  }
}

/// What a running daemon has to do with secrets.
struct Secrets: Sendable {
  let keyring: Keyring
  let vault: SecretVault
  private let settings: SecretSettings
  private let reloads: ReloadCounters
  private let logger: Logger

  init(
    _ settings: SecretSettings, _ keyring: Keyring, _ plane: ControlPlane,
    _ terms: Provisioner.Terms, _ reloads: ReloadCounters, _ logger: Logger
  ) {
    self.settings = settings
    self.reloads = reloads
    self.keyring = keyring
    self.logger = logger
    vault = SecretVault(plane, keyring, holder: terms.holder) { why in
      logger.error("secrets", metadata: ["reason": "\(why)"])
    }
  }

  /// Reads the master keys again; if there is another, wraps all data keys by it. What runs goes on with the
  /// keys that it has, whatever goes wrong.
  func reload() async {
    do {
      let keys = try settings.read()
      keyring.replaceMaster(by: keys.master, previous: keys.previous)
      let count = try await vault.prepareKeys()
      reloads.ended(.masterKeys, succeeded: true)
      if count == 0 { return }
      logger.notice(
        "data keys are wrapped by another master key",
        metadata: ["master_key": "\(keys.master.id)", "data_keys": "\(count)"])
    } catch {
      reloads.ended(.masterKeys, succeeded: false)
      logger.error("master keys not reloaded", metadata: ["error": "\(error)"])
    }
  }
}

extension MasterKey {
  /// Makes a file with a new key that only its owner may read, durably, unless it is there.
  /// - Throws: `ConfigurationError`.
  static func makeFile(_ path: String) throws {
    try OwnFiles.check(path)
    guard unsafe access(path, F_OK) != 0 else { return }
    // Under its name only when it is whole: half a key would be refused ever after.
    let draft = path + ".new"
    unsafe unlink(draft)
    let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw failure(draft) }
    defer { close(descriptor) }
    let text = Array(try MasterKey().hexText().utf8)
    guard unsafe write(descriptor, text, text.count) == text.count, fsync(descriptor) == 0,
      unsafe rename(draft, path) == 0
    else { throw failure(path) }
    try FileSystem.syncDirectory(of: URL(filePath: path).standardized.path)
  }

  private static func failure(_ path: String) -> ConfigurationError {
    ConfigurationError(
      description: unsafe "cannot make the master key \(path): \(String(cString: strerror(errno)))")
  }
}
