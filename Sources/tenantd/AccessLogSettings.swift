import TenancyTelemetry

extension AccessLog.Settings {
  init(_ settings: inout SettingsReader) throws {
    let file = try settings.string("file")
    guard file == "stderr" || file.hasPrefix("/") else {
      throw settings.error("file: \"stderr\" or an absolute path")
    }
    self.init(path: file == "stderr" ? nil : file)
    sample = try settings.integer("sample", in: 0...1_000_000) ?? sample
    errorsPerSecond =
      try settings.integer("errors_per_second", in: 1...100_000) ?? errorsPerSecond
  }
}
