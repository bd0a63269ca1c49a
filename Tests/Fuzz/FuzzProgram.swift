import Foundation

/// libFuzzer's own `main`, which takes the callback as an argument.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<Int32>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// Has to have this name: libFuzzer's `main`, which is linked though not used, refers to it.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let target = FuzzProgram.chosen
  do {
    try target.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
  } catch {
    fatalError("\(target.name): \(error)")
  }
  return 0
}

/// `fuzz --list`, `fuzz --seeds DIRECTORY`, or libFuzzer's own arguments with the target's name in
/// TENANCY_FUZZ_TARGET. For tools/fuzz.
@main enum FuzzProgram {
  static func main() throws {
    let arguments = CommandLine.arguments
    switch arguments.dropFirst().first {
    case "--list":
      for target in FuzzTarget.all { print(target.name) }
    case "--seeds" where arguments.count == 3:
      try writeSeeds(to: URL(filePath: arguments[2]))
    default:
      var count = CommandLine.argc
      var values = CommandLine.unsafeArgv
      exit(
        runDriver(&count, &values) { testOneInput($0, $1) })
    }
  }

  private static func writeSeeds(to directory: URL) throws {
    for target in FuzzTarget.all {
      let place = directory.appending(path: target.name)
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
      for (index, seed) in try target.seeds().enumerated() {
        try Data(seed).write(to: place.appending(path: "seed-\(index)"))
      }
    }
  }

  fileprivate static let chosen: FuzzTarget = {
    let name = ProcessInfo.processInfo.environment["TENANCY_FUZZ_TARGET"] ?? ""
    guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
      fatalError("there is no fuzz target '\(name)'")
    }
    return target
  }()
}
