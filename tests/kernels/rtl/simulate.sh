#!/bin/sh
# simulate.sh SIMULATOR FOLDER PLUSARGS...: the array on the cases in FOLDER, whose name begins with the number of the run:
# it seeds stalls and uninitialised registers, so that no two runs are alike in what a right array does not depend on.
simulator=$1
folder=$2
shift 2
run=$(basename "$folder")
seed=$((${run%%-*} + 1))
case $simulator in
    verilator) exec ./bench +verilator+rand+reset+2 +verilator+seed+$seed +DIR="$folder" +STALLS=$seed "$@" ;;
    icarus) exec vvp -N bench.vvp +DIR="$folder" +STALLS=$seed "$@" ;;
esac
echo "simulate.sh: $simulator is neither verilator nor icarus"
exit 2
