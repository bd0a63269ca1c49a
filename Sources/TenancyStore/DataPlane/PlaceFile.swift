internal import Glibc
internal import Tenancy

/// Tells a directory from all others, for as long as it lasts: a new one in its place is another.
enum PlaceFile {
  private static let length = 32

  /// Makes it when it is missing.
  /// - Throws: `.corrupt` if it is there and was not made here.
  static func read(_ path: String) throws(StoreError) -> String {
    if access(path, F_OK) != 0 { try make(path) }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw StoreError(.unavailable, "cannot open \(path): \(errorText(errno))")
    }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: length + 1)
    let count = Glibc.read(descriptor, &bytes, bytes.count)
    let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    guard count == length, text.utf8.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else {
      throw StoreError(
        .corrupt, "\(path) is not the name of a place: this program did not write it")
    }
    return text
  }

  /// Under another name first: half of it must never be read. Of two nodes that make it at once, one wins.
  private static func make(_ path: String) throws(StoreError) {
    let digits = Array("0123456789abcdef".utf8)
    var random = SystemRandomNumberGenerator()
    let text = (0..<length).map { _ in digits[Int.random(in: 0..<16, using: &random)] }
    let draft = "\(path).\(getpid())"
    let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw StoreError(.unavailable, "cannot make \(draft): \(errorText(errno))")
    }
    let isWritten = write(descriptor, text, length) == length && fsync(descriptor) == 0
    let cause = errno
    close(descriptor)
    defer { unlink(draft) }
    guard isWritten, link(draft, path) == 0 || errno == EEXIST else {
      throw StoreError(.unavailable, "cannot make \(path): \(errorText(isWritten ? errno : cause))")
    }
    try FileSystem.syncDirectory(of: path)
  }
}
