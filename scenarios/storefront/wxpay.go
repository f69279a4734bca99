package storefront

import (
	"errors"
	"net/http"
)

// claim is WeChat Pay's send-coupon call: POST
// /v3/marketing/favor/users/{openid}/coupons. The same out_request_no is
// answered with the same coupon.
func (f *face) claim(w http.ResponseWriter, r *http.Request) {
	c := claim{user: r.PathValue("openid")}
	body, err := f.body(r)
	if err == errTooLong {
		f.claimError(w, http.StatusRequestEntityTooLarge, "PARAM_ERROR", err.Error())
		return
	} else if err != nil {
		f.claimError(w, http.StatusBadRequest, "PARAM_ERROR", "the body ended early")
		return
	}
	c.stock, c.request, err = decodeClaim(body)
	if err == nil && len(c.user) > longest {
		err = &fault{"openid", "too long"}
	}
	if id := r.Header.Get("X-User-Id"); err == nil && id != "" && id != c.user {
		err = &fault{"openid", "not the user of X-User-Id"}
	}
	if err != nil {
		f.claimError(w, http.StatusBadRequest, "PARAM_ERROR", err.Error())
		return
	}
	number, err := f.shop.coupons.Claim(r.Context(), c)
	if err != nil {
		status, code, message := whyNot(err)
		f.claimError(w, status, code, message)
		return
	}
	f.answerJSON(w, http.StatusOK, func(b []byte) []byte { return appendClaimed(b, number) })
}

// whyNot returns what kept a claim from a coupon, in WeChat Pay's codes.
func whyNot(err error) (status int, code, message string) {
	no := refusal("")
	errors.As(err, &no)
	switch {
	case no == soldOut:
		return http.StatusForbidden, "NOT_ENOUGH", err.Error()
	case no == overLimit:
		return http.StatusForbidden, "RULE_LIMIT", err.Error()
	case no == paused || no == ended:
		return http.StatusBadRequest, "INVALID_REQUEST", err.Error()
	case no == unknownStock:
		return http.StatusNotFound, "RESOURCE_NOT_EXISTS", err.Error()
	case no == otherRequest:
		return http.StatusBadRequest, "PARAM_ERROR", err.Error()
	case errors.Is(err, errBusy):
		return http.StatusTooManyRequests, "FREQUENCY_LIMITED", err.Error()
	}
	return http.StatusInternalServerError, "SYSTEM_ERROR", "the claim could not be kept; repeat it with the same out_request_no"
}

func (f *face) claimError(w http.ResponseWriter, status int, code, message string) {
	f.answerJSON(w, status, func(b []byte) []byte { return appendUnclaimed(b, code, message) })
}

// appendClaimed appends the answer that gives a coupon.
func appendClaimed(b []byte, number int64) []byte {
	b = append(b, `{"coupon_id":"`...)
	b = appendCoupon(b, number)
	return append(b, `"}`...)
}

// appendUnclaimed appends the answer that gives none.
func appendUnclaimed(b []byte, code, message string) []byte {
	b = append(b, '{')
	b = appendField(b, "code", code)
	b = appendField(b, "message", message)
	return append(b, '}')
}
