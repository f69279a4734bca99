package chat

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// ownError renders an error as DashScope's own API does, and compatible one as
// its OpenAI-compatible API.
func ownError(code, message string) string {
	return `{"code":"` + code + `","message":"` + message + `","request_id":"5c5e"}`
}

func compatible(code, message string) string {
	return `{"error":{"message":"` + message + `","type":"` + code + `","param":null,"code":"` + code + `"},"request_id":"5c5e"}`
}

// TestDeclined: what an answer with another status than success comes to, in
// the dialects of OpenAI and of DashScope (Alibaba Model Studio). Sources:
//
//	openai  platform.openai.com/docs/guides/error-codes, and /guides/rate-limits for headers
//	azure   learn.microsoft.com, dev-proxy/concepts/openai-rate-limit-reached
//	alibaba help.aliyun.com/en/model-studio/error-code, whose sections are headed by status and code
//	client  what openai-go v3 looks at: internal/requestconfig/requestconfig.go
func TestDeclined(t *testing.T) {
	const (
		rate      = "Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s."
		list      = "You exceeded your current requests list."
		quota     = "You exceeded your current quota, please check your plan and billing details."
		requests  = "Requests rate limit exceeded, please try again later."
		allocated = "Allocated quota exceeded, please increase your quota limit."
		burst     = "Request rate increased too quickly. To ensure system stability, please adjust your client logic to scale requests more smoothly over time."
		saturated = "Too many requests. Your requests are being throttled due to system capacity limits. Try again later."
	)
	tests := []struct {
		source string
		status int
		body   string
		header []string
		want   results.Outcome
		why    string
		after  time.Duration
		advice scenarios.Advice
	}{
		{"openai", 429, `{"error":{"message":"` + rate + `","type":"requests","param":null,"code":"rate_limit_exceeded"}}`,
			[]string{"Retry-After", "20", "Retry-After-Ms", "19890", "X-Should-Retry", "true", "X-Ratelimit-Limit-Requests", "3", "X-Ratelimit-Remaining-Requests", "0", "X-Ratelimit-Reset-Requests", "19.89s"},
			results.RateLimited, "HTTP 429: rate_limit_exceeded, no requests left for 19.89s", 19890 * time.Millisecond, scenarios.TryAgain},
		{"openai", 429, failed("rate_limit_exceeded"), []string{"X-Ratelimit-Remaining-Requests", "2", "X-Ratelimit-Remaining-Tokens", "0", "X-Ratelimit-Reset-Tokens", "6m0s"},
			results.RateLimited, "HTTP 429: rate_limit_exceeded, no tokens left for 6m0s", 0, scenarios.NoAdvice},
		{"openai", 429, compatible("insufficient_quota", quota), []string{"X-Should-Retry", "false"}, results.RateLimited, "HTTP 429: insufficient_quota", 0, scenarios.GiveUp},
		{"azure", 429, `{"error":{"code":"429","message":"Requests have exceeded call rate limit."}}`, []string{"X-Ratelimit-Remaining-Requests", "-1"}, results.RateLimited, "HTTP 429: 429", 0, scenarios.NoAdvice},
		{"azure", 429, `{"error":{"message":"slow","type":"rate_limit_error","code":"slow_down"}}`, nil, results.RateLimited, "HTTP 429: slow_down", 0, scenarios.NoAdvice},
		{"azure", 503, `{"error":{"message":"busy","type":"service_unavailable_error","code":"server_is_overloaded"}}`, []string{"Retry-After", "5"}, results.Unavailable, "HTTP 503: server_is_overloaded", 5 * time.Second, scenarios.NoAdvice},
		{"azure", 400, `{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter"}}`, nil, results.Refused, "HTTP 400: content_filter", 0, scenarios.NoAdvice},
		{"openai", 500, failed("server_error"), nil, results.Unavailable, "HTTP 500: server_error", 0, scenarios.NoAdvice},
		{"openai", 401, failed("invalid_api_key"), nil, results.Rejected, "HTTP 401: invalid_api_key", 0, scenarios.NoAdvice},
		{"openai", 404, failed("model_not_found"), nil, results.Rejected, "HTTP 404: model_not_found", 0, scenarios.NoAdvice},
		{"client", 409, failed("conflict"), []string{"X-Should-Retry", "true"}, results.Rejected, "HTTP 409: conflict", 0, scenarios.TryAgain},

		{"alibaba", 429, ownError("Throttling", "Requests throttling triggered."), nil, results.RateLimited, "HTTP 429: Throttling", 0, scenarios.NoAdvice},
		{"alibaba", 429, ownError("Throttling.RateQuota", requests), nil, results.RateLimited, "HTTP 429: Throttling.RateQuota", 0, scenarios.NoAdvice},
		{"alibaba", 429, ownError("LimitRequests", list), nil, results.RateLimited, "HTTP 429: LimitRequests", 0, scenarios.NoAdvice},
		{"alibaba", 429, compatible("limit_requests", list), nil, results.RateLimited, "HTTP 429: limit_requests", 0, scenarios.NoAdvice},
		{"alibaba", 429, ownError("Throttling.BurstRate", burst), nil, results.RateLimited, "HTTP 429: Throttling.BurstRate", 0, scenarios.NoAdvice},
		{"alibaba", 429, compatible("limit_burst_rate", burst), nil, results.RateLimited, "HTTP 429: limit_burst_rate", 0, scenarios.NoAdvice},
		{"alibaba", 429, ownError("Throttling.AllocationQuota", allocated), nil, results.RateLimited, "HTTP 429: Throttling.AllocationQuota", 0, scenarios.NoAdvice},
		{"alibaba", 429, compatible("insufficient_quota", quota), nil, results.RateLimited, "HTTP 429: insufficient_quota", 0, scenarios.NoAdvice}, // its tokens a minute
		{"alibaba", 429, ownError("PostpaidBillOverdue", "The postpaid bill is overdue."), nil, results.Rejected, "HTTP 429: PostpaidBillOverdue", 0, scenarios.NoAdvice},
		{"alibaba", 429, ownError("CommodityNotPurchased", "Commodity has not purchased yet."), nil, results.Rejected, "HTTP 429: CommodityNotPurchased", 0, scenarios.NoAdvice},
		{"alibaba", 400, ownError("Arrearage", "Access denied, please make sure your account is in good standing."), nil, results.Rejected, "HTTP 400: Arrearage", 0, scenarios.NoAdvice},
		{"alibaba", 400, ownError("DataInspectionFailed", "Input data may contain inappropriate content."), nil, results.Refused, "HTTP 400: DataInspectionFailed", 0, scenarios.NoAdvice},
		{"alibaba", 400, compatible("data_inspection_failed", "Input data may contain inappropriate content."), nil, results.Refused, "HTTP 400: data_inspection_failed", 0, scenarios.NoAdvice},
		{"alibaba", 403, ownError("AccessDenied", "Access denied."), nil, results.Rejected, "HTTP 403: AccessDenied", 0, scenarios.NoAdvice},
		{"alibaba", 500, ownError("InternalError.Algo", "inference internal error."), nil, results.Unavailable, "HTTP 500: InternalError.Algo", 0, scenarios.NoAdvice},
		{"alibaba", 503, ownError("ModelServingError", saturated), nil, results.Unavailable, "HTTP 503: ModelServingError", 0, scenarios.NoAdvice},
		{"alibaba", 503, ownError("ModelUnavailable", "Model is unavailable, try again later."), nil, results.Unavailable, "HTTP 503: ModelUnavailable", 0, scenarios.NoAdvice},

		{"a gateway", 500, failed("rate_limit_exceeded"), nil, results.RateLimited, "HTTP 500", 0, scenarios.NoAdvice},
		{"a gateway", 403, failed("rate_limit_exceeded"), nil, results.RateLimited, "HTTP 403", 0, scenarios.NoAdvice},
		{"a gateway", 400, `{"error":{"message":"` + burst + `"}}`, nil, results.RateLimited, "HTTP 400", 0, scenarios.NoAdvice},
		{"a gateway", 400, `{"error":"boom"}`, nil, results.Rejected, "HTTP 400: boom", 0, scenarios.NoAdvice},
		{"a gateway", 503, "<html>", nil, results.Unavailable, "HTTP 503", 0, scenarios.NoAdvice},
		{"a gateway", 408, "", nil, results.Unavailable, "HTTP 408", 0, scenarios.NoAdvice},
		{"a gateway", 400, failed("invalid_value"), nil, results.Rejected, "HTTP 400: invalid_value", 0, scenarios.NoAdvice},
		{"a gateway", 401, "who?", nil, results.Rejected, "HTTP 401", 0, scenarios.NoAdvice},
		{"a gateway", 302, "", []string{"Location", "/elsewhere", "X-Should-Retry", "maybe"}, results.Unclassified, "HTTP 302", 0, scenarios.NoAdvice},
	}
	for _, test := range tests {
		for _, protocol := range []string{"openai", "openai-responses"} {
			s := shopper()
			r := New(scenarios.Endpoint{Protocol: protocol}).Do(dial(t, whole(test.status, asJSON, test.body, test.header...)), s, turn("x"))
			if r.Outcome != test.want || r.Status != test.status || !strings.HasPrefix(r.Why, test.why) || r.RetryAfter != test.after || r.Advice != test.advice || len(s.History) > 0 {
				t.Errorf("%s, %s: %d %s: %v, %q, after %v, advice %d; want %v, %q, %v, %d", protocol, test.source, test.status, test.body,
					r.Outcome, r.Why, r.RetryAfter, r.Advice, test.want, test.why, test.after, test.advice)
			}
		}
	}
}

// TestFailedWith200: the same errors in the body of a success, at once or in a
// stream, are never ok, and mean what their status would have.
func TestFailedWith200(t *testing.T) {
	for body, want := range map[string]results.Outcome{
		ownError("Throttling.RateQuota", "x"):                                                 results.RateLimited,
		ownError("Throttling.AllocationQuota", "x"):                                           results.RateLimited,
		compatible("insufficient_quota", "x"):                                                 results.RateLimited,
		`{"error":{"message":"Request rate increased too quickly.","type":null,"code":null}}`: results.RateLimited,
		ownError("ModelUnavailable", "x"):                                                     results.Unavailable,
		failed("server_is_overloaded"):                                                        results.Unavailable,
		ownError("DataInspectionFailed", "x"):                                                 results.Refused,
		ownError("Arrearage", "x"):                                                            results.Rejected,
		failed("odd"):                                                                         results.ErrorInStream,
	} {
		for _, protocol := range []string{"openai", "openai-responses"} {
			for how, serve := range map[string]http.HandlerFunc{
				"at once":        whole(200, asJSON, body),
				"in a stream":    stream(data(body)),
				"as error event": stream(": keep-alive\n\nid:1\nevent:error\n:HTTP_STATUS/429\n" + data(body)),
			} {
				s := shopper()
				r := New(scenarios.Endpoint{Protocol: protocol}).Do(dial(t, serve), s, turn("x"))
				if r.Outcome != want || r.Status != 0 || r.Why == "" || len(s.History) > 0 {
					t.Errorf("%s, %s: %s: %v, %q; want %v", protocol, how, body, r.Outcome, r.Why, want)
				}
			}
		}
	}
}
