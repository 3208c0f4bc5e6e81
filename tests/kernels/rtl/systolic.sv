// A weight-stationary array of ROWS x COLS multipliers: y = saturate(zp + (acc * mult half up >> shift)) for each channel,
// acc = bias + sum over k of (x - zx) * w, as TOSA's MATMUL and RESCALE (SINGLE_ROUND).
//
// A job takes m channels (one a beat: bias, multiplier, shift). Then, for each tile of COLS columns, of DEPTH rows and of
// ROWS products: ROWS beats of weights (a beat is one k, lane by lane the columns), and the tile's rows of x (a beat is one
// row, lane by lane the k). After the last products a tile's rows leave as beats of y. Tails of k and m are padded: weights
// with 0, and the lanes of y behind the last column mean nothing. `fault` is 0 for the right array; wrong.toml lists the
// others.
module systolic #(
    parameter ROWS = 4,
    parameter COLS = 4,
    parameter DEPTH = 8,
    parameter CHANNELS = 16
) (
    input wire clk,
    input wire rst,
    input wire [4:0] fault,

    input wire start,
    input wire [15:0] n,
    input wire [15:0] k,
    input wire [15:0] m,
    input wire signed [7:0] zx,
    input wire signed [7:0] zp,
    output wire idle,

    input wire c_valid,
    output wire c_ready,
    input wire signed [31:0] c_bias,
    input wire signed [31:0] c_mult,
    input wire [5:0] c_shift,

    input wire w_valid,
    output wire w_ready,
    input wire [8 * COLS - 1:0] w_data,

    input wire x_valid,
    output wire x_ready,
    input wire [8 * ROWS - 1:0] x_data,

    output reg y_valid,
    input wire y_ready,
    output reg [8 * COLS - 1:0] y_data
);
    localparam IDLE = 3'd0, CHANNEL = 3'd1, WEIGHTS = 3'd2, STREAM = 3'd3, FLUSH = 3'd4, DRAIN = 3'd5;
    localparam LATENCY = ROWS + COLS + 1;
    localparam CB = $clog2(CHANNELS), DB = $clog2(DEPTH);

    wire truncates = fault == 1, away = fault == 2, zero_negated = fault == 3, uncleared = fault == 4, tail_lost = fault == 5;
    wire swapped = fault == 6, late = fault == 7, next_multiplier = fault == 8, narrow = fault == 9, wraps = fault == 10;
    wire bias_late = fault == 11, unsigned_x = fault == 12, floating = fault == 13, drops = fault == 14;
    wire short_row = fault == 15, stale = fault == 16, twice = fault == 17, clips_first = fault == 18;
    wire narrow_product = fault == 19, weights_stuck = fault == 20;
    wire never_cleared = fault == 21;

    reg [2:0] state;
    reg [15:0] beat;                            // of the phase
    reg [15:0] first_row, first_k, first_column;
    reg signed [31:0] bias [0:CHANNELS - 1], mult [0:CHANNELS - 1];
    reg [5:0] shift [0:CHANNELS - 1];

    wire [15:0] left = n - first_row;
    wire [15:0] rows = left < DEPTH ? left : DEPTH;
    wire last_k = first_k + ROWS >= k;
    wire counts = !tail_lost || first_k + ROWS <= k;
    wire taken = y_valid && y_ready;
    wire free = !y_valid || y_ready || drops;

    assign idle = state == IDLE && !y_valid;
    assign c_ready = state == CHANNEL;
    assign w_ready = state == WEIGHTS;
    assign x_ready = state == STREAM;
    wire load = w_valid && w_ready;
    wire move = x_valid && x_ready || state == FLUSH;
    wire more_rows = first_row + DEPTH < n, more_columns = first_column + COLS < m;
    wire cleared = rst || state == CHANNEL && !stale
        || state == DRAIN && free && beat + 1 == rows && (more_rows ? !uncleared : more_columns) && !never_cleared;

    always @(posedge clk)
        if (rst) begin
            state <= IDLE;
            beat <= 0;
            first_row <= 0;
            first_k <= 0;
            first_column <= 0;
        end else case (state)
            IDLE: if (start) begin
                state <= CHANNEL;
                beat <= 0;
                first_row <= 0;
                first_k <= 0;
                first_column <= 0;
            end
            CHANNEL: if (c_valid) begin
                bias[beat[CB - 1:0]] <= c_bias;
                mult[beat[CB - 1:0]] <= c_mult;
                shift[beat[CB - 1:0]] <= c_shift;
                beat <= beat + 1 == m ? 0 : beat + 1;
                if (beat + 1 == m) state <= WEIGHTS;
            end
            WEIGHTS: if (w_valid) begin
                beat <= beat + 1 == ROWS ? 0 : beat + 1;
                if (beat + 1 == ROWS) state <= STREAM;
            end
            STREAM: if (x_valid) begin
                beat <= beat + 1 == rows ? 0 : beat + 1;
                if (beat + 1 == rows) state <= FLUSH;
            end
            FLUSH: begin
                beat <= beat + 1 == LATENCY ? 0 : beat + 1;
                if (beat + 1 == LATENCY) begin
                    state <= last_k ? DRAIN : WEIGHTS;
                    first_k <= last_k ? 0 : first_k + ROWS;
                end
            end
            DRAIN: if (free) begin
                beat <= beat + 1 == rows ? 0 : beat + 1;
                if (beat + 1 == rows) begin
                    first_row <= more_rows ? first_row + DEPTH : 0;
                    if (more_rows) state <= WEIGHTS;
                    else begin
                        first_column <= first_column + COLS;
                        state <= more_columns ? WEIGHTS : IDLE;
                    end
                end
            end
            default: state <= IDLE;
        endcase

    // The array. x enters at the left, lane r delayed by r beats; sums run down, column c delayed by c beats.
    wire signed [9:0] across [0:ROWS - 1][0:COLS];
    wire signed [31:0] down [0:ROWS][0:COLS - 1];
    genvar r, c;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : row
            wire signed [7:0] code = x_data[8 * r +: 8];
            wire signed [9:0] wide = {{2{code[7] && !unsigned_x}}, code};
            reg signed [9:0] skew [0:r];
            integer i;
            always @(posedge clk)
                if (move) begin
                    skew[0] <= zero_negated ? wide + 10'(zx) : wide - 10'(zx);
                    for (i = 1; i <= r; i = i + 1) skew[i] <= skew[i - 1];
                end
            assign across[r][0] = skew[r];
            for (c = 0; c < COLS; c = c + 1) begin : column
                reg signed [7:0] w;
                reg signed [9:0] x;
                reg signed [31:0] sum;
                wire [2:0] lane = swapped && c < 2 ? 1 - c : c;
                always @(posedge clk) begin
                    if (load && !(weights_stuck && first_k != 0 && c == COLS - 1))
                        if (beat == (late && c == COLS - 1 && r != 0 ? r - 1 : r)) w <= w_data[8 * lane +: 8];
                    if (move) begin
                        x <= across[r][c];
                        sum <= down[r][c] + across[r][c] * w;
                    end
                end
                assign across[r][c + 1] = x;
                assign down[r + 1][c] = sum;
            end
        end
        for (c = 0; c < COLS; c = c + 1) begin : head
            assign down[0][c] = 0;
        end
    endgenerate

    // A row is whole LATENCY moves after it entered: the columns that are ready earlier wait.
    reg [LATENCY - 1:0] entered;
    reg [DB - 1:0] into;
    always @(posedge clk)
        if (rst || start && state == IDLE) begin
            entered <= 0;
            into <= 0;
        end else if (move) begin
            entered <= {entered[LATENCY - 2:0], state == STREAM};
            if (entered[LATENCY - 1]) into <= into + 1;
        end else if (state == WEIGHTS) into <= 0;

    generate
        for (c = 0; c < COLS; c = c + 1) begin : lane
            reg signed [31:0] wait_ [0:COLS - 1 - c];
            reg signed [31:0] acc [0:DEPTH - 1];
            integer i, j;
            wire [CB - 1:0] channel = first_column[CB - 1:0] + c;
            wire signed [31:0] partial = wait_[COLS - 1 - c];
            wire signed [31:0] start_with = first_k == 0 && !bias_late ? bias[channel] : 0;
            wire signed [31:0] sum = acc[into] + start_with + partial;
            always @(posedge clk) begin
                if (move) begin
                    wait_[0] <= down[ROWS][c];
                    for (i = 1; i < COLS - c; i = i + 1) wait_[i] <= wait_[i - 1];
                end
                if (cleared) for (j = 0; j < DEPTH; j = j + 1) acc[j] <= 0;
                else if (move && entered[LATENCY - 1] && counts) acc[into] <= narrow ? {{16{sum[15]}}, sum[15:0]} : sum;
            end

            // The rescale of the row that leaves.
            wire [CB - 1:0] other = channel + 1'd1 == m[CB - 1:0] ? 0 : channel + 1'd1;
            wire signed [31:0] times = mult[next_multiplier ? other : channel];
            wire [5:0] by = shift[channel];
            wire signed [63:0] exact = acc[beat[DB - 1:0]] * times;
            wire signed [63:0] wide = narrow_product ? {{16{exact[47]}}, exact[47:0]} : exact;
            wire signed [63:0] half = truncates ? 0 : 64'sd1 <<< (by - 6'd1);
            wire signed [63:0] once = (wide + half - (away && wide < 0 ? 1 : 0)) >>> by;
            wire signed [63:0] high = (wide + 64'sd1073741824) >>> 31;
            wire signed [63:0] again = by > 31 ? (high + (64'sd1 <<< (by - 6'd32)) - (high < 0 ? 1 : 0)) >>> (by - 6'd31) : once;
            wire signed [63:0] scaled = (twice ? again : once) + (bias_late ? 64'(bias[channel]) : 0);
            wire signed [63:0] bounded = scaled > 127 ? 127 : scaled < -128 ? -128 : scaled;
            wire signed [63:0] moved = (clips_first ? bounded : scaled) + 64'(zp);
            wire signed [7:0] code = wraps ? moved[7:0] : moved > 127 ? 127 : moved < -128 ? -128 : moved[7:0];
            always @(posedge clk)
                if (state == DRAIN && free)
                    if (!(floating && c == 1 && beat == 0) && !(short_row && c == COLS - 1)) y_data[8 * c +: 8] <= code;
        end
    endgenerate

    always @(posedge clk)
        if (rst) y_valid <= 0;
        else if (state == DRAIN && free) y_valid <= 1;
        else if (taken) y_valid <= 0;
endmodule
