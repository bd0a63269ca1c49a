import Foundation

/// Small files named on the command line.
enum InputFile {
  /// Of a token.
  static let maximumTokenBytes = 8_192

  /// The text of a file; `-` is the standard input.
  static func text(_ path: String) throws(UsageError) -> String {
    let data: Data?
    do {
      data =
        path == "-"
        ? try FileHandle.standardInput.readToEnd() : try Data(contentsOf: URL(filePath: path))
    } catch {
      throw UsageError("cannot read \(path): \(error.localizedDescription)")
    }
    guard let text = String(data: data ?? Data(), encoding: .utf8) else {
      throw UsageError("\(path) is not UTF-8 text")
    }
    return text
  }

  /// A secret in a file of its own, without the newline that editors put behind it.
  static func secret(_ path: String) throws(UsageError) -> String {
    var text = try Self.text(path)
    if text.hasSuffix("\n") || text.hasSuffix("\r\n") { text.removeLast() }
    guard !text.isEmpty else { throw UsageError("\(path) is empty") }
    return text
  }

  /// The bytes of a file, or of the standard input.
  static func bytes(_ path: String, atMost maximum: Int) throws(InputFailure) -> [UInt8] {
    let data: Data?
    do {
      let file = path == "-" ? .standardInput : try FileHandle(forReadingFrom: URL(filePath: path))
      // One more shows that there are more.
      data = try file.read(upToCount: maximum + 1)
    } catch {
      throw InputFailure(reason: "cannot read \(path): \(error.localizedDescription)")
    }
    guard (data?.count ?? 0) <= maximum else {
      throw InputFailure(reason: "\(path) has more than \(maximum) bytes")
    }
    return Array(data ?? Data())
  }

  /// A token as it stands in a file, whatever that may be, without the newline behind it.
  static func token(_ path: String) throws(InputFailure) -> [UInt8] {
    var bytes = try bytes(path, atMost: maximumTokenBytes + 2)
    if bytes.last == UInt8(ascii: "\n") {
      bytes.removeLast()
      if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
    }
    return bytes
  }
}

/// A file that is not what it should be.
struct InputFailure: Error, Equatable {
  let reason: String
}
