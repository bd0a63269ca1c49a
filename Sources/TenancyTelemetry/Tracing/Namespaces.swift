/// Attributes of OpenTelemetry's protocol.
public enum OTLPCommon {}

/// Who sends, in OpenTelemetry's protocol.
public enum OTLPResource {}

/// Spans of OpenTelemetry's protocol.
public enum OTLPTrace {}

/// The service that takes spans.
public enum OTLPCollector {}
