# Behind `--` stands a program with arguments of its own.
function __fish_atlas_cluster_program
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    or return
    set -e words[1..$at]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end
complete -c atlas-cluster -n "contains -- -- (commandline -opc)" -f -a "(__fish_atlas_cluster_program)"
complete -c atlas-cluster -n "not __fish_atlas_cluster_using_subcommand import capture" -f
